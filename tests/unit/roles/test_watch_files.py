# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts and the dashboard speak of metrics that exist, and carry nothing of guests into what people click.

And the role tells the program all that can be told.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.module_utils import watch
from ansible_collections.fleet.rng.plugins.module_utils.broker import status
from ansible_collections.fleet.rng.plugins.module_utils.metrics import FAMILIES, PREFIX

REPOSITORY = Path(__file__).resolve().parents[3]
ROLE = REPOSITORY / "roles" / "rng_report"
FILES = ROLE / "files"
KNOWN = {PREFIX + family.name for family in FAMILIES} | {
    status.PREFIX + name + ("_total" if counts else "") for name, dummy_help, dummy_unit, counts in status._FAMILIES
}
METRIC = re.compile(rf"\b(?:{PREFIX}|{status.PREFIX})\w+")
ALERTS, BROKER_ALERTS = "alerts.yml", "broker-alerts.yml"
DASHBOARDS = {"grafana-dashboard.json": "hypervisor", "grafana-dashboard-broker.json": "instance"}
HARMLESS = {f"$labels.{name}" for name in ("hypervisor", "uuid", "id", "instance", "source", "class")} | {"$value"}
SEVERITIES = {"critical", "warning", "info"}


def rules(*files: str) -> list[dict[str, Any]]:
    groups = [group for file in files for group in yaml.safe_load((FILES / file).read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def dashboard(file: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FILES / file).read_text(encoding="utf-8"))
    return document


@pytest.fixture(params=rules(ALERTS, BROKER_ALERTS), ids=lambda rule: rule["alert"])
def rule(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=DASHBOARDS)
def shown(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dashboard(request.param)


@pytest.mark.parametrize("file", [ALERTS, BROKER_ALERTS, *DASHBOARDS])
def test_every_metric_exists(file: str) -> None:
    named = set(METRIC.findall((FILES / file).read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= KNOWN


def test_alerts_are_whole(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("FleetRng")
    assert rule["labels"]["severity"] in SEVERITIES
    assert re.fullmatch("[0-9]+[mhd]", rule["for"])
    assert {"summary", "description"} == set(rule["annotations"]) - {"documentation"}
    assert all(0 < len(text) < 400 for text in rule["annotations"].values())


def test_annotations_carry_no_text_of_guests(rule: dict[str, Any]) -> None:
    """Receivers render them: a guest's name could be a link or markup. Its UUID is libvirt's own."""
    for text in rule["annotations"].values():
        for template in re.findall(r"{{(.*?)}}", text):
            assert template.split("|")[0].strip() in HARMLESS


def test_alert_names_are_distinct() -> None:
    names = [rule["alert"] for rule in rules(ALERTS, BROKER_ALERTS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", rules(BROKER_ALERTS), ids=lambda rule: rule["alert"])
def test_alerts_of_the_broker_say_where_it_is_and_what_to_read(rule: dict[str, Any]) -> None:
    labels = set(re.findall(r"by \((.*?)\)", rule["expr"])[0].split(", "))
    assert "instance" in labels
    for label in labels:
        assert f"{{{{ $labels.{label} }}}}" in rule["annotations"]["summary"]
    file, dummy, section = rule["annotations"]["documentation"].partition("#")
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert f"\n## {section.capitalize()}\n" in text
    assert f"| {rule['alert']} | {rule['labels']['severity']} | " in text


def test_a_dashboard_asks_for_its_data_source(shown: dict[str, Any]) -> None:
    names = [variable["name"] for variable in shown["templating"]["list"]]
    assert names in [["datasource", choice] for choice in DASHBOARDS.values()]
    for panel in shown["panels"]:
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize(("file", "choice"), DASHBOARDS.items())
def test_every_panel_is_explained_and_obeys_the_choice_of_hosts(file: str, choice: str) -> None:
    for panel in dashboard(file)["panels"]:
        assert panel["title"]
        assert panel["description"]
        for target in panel["targets"]:
            chosen = target["expr"].count(f'{{{choice}=~"${choice}"')
            assert chosen == len(METRIC.findall(target["expr"])) > 0


def test_dashboards_can_be_there_together() -> None:
    assert len({dashboard(file)[key] for file in DASHBOARDS for key in ("uid", "title")}) == 2 * len(DASHBOARDS)


def test_panels_have_ids_of_their_own_and_do_not_overlap(shown: dict[str, Any]) -> None:
    panels = shown["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


def test_no_panel_renders_what_guests_are_called(shown: dict[str, Any]) -> None:
    """Tables show text as text; a panel of HTML or Markdown, or a link made of a label, would not."""
    text = json.dumps(shown)
    assert {panel["type"] for panel in shown["panels"]} <= {
        "gauge",
        "stat",
        "timeseries",
        "table",
        "bargauge",
        "state-timeline",
    }
    assert "dataLinks" not in text
    assert '"url"' not in text


def test_the_program_is_told_where_plain_qemus_guests_are() -> None:
    """Each option has a variable, and the program is told nothing where all are as it has them itself."""
    (tasks,) = yaml.safe_load((ROLE / "tasks" / "watch_present.yml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    own = {name: default for name, (dummy, default) in watch._QEMU_OPTIONS.items()}
    told = tasks["vars"]["__rng_report_watch_qemu"]
    assert told.keys() == own.keys()
    for name in own:
        variable = f"rng_report_watch_qemu_{name}"
        assert variable in told[name]
        assert f"virtio_rng_qemu_{name} | default(" in defaults[variable]
        assert variable in specs["watch"]["options"]
    compared = re.search(r"__rng_report_watch_qemu != ({.*?}) }}", tasks["vars"]["__rng_report_watch_tells"], re.DOTALL)
    assert compared is not None
    assert yaml.safe_load(compared[1]) == own
