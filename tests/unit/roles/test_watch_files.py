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
from ansible_collections.fleet.rng.plugins.module_utils.metrics import FAMILIES, PREFIX

ROLE = Path(__file__).resolve().parents[3] / "roles" / "rng_report"
FILES = ROLE / "files"
KNOWN = {PREFIX + family.name for family in FAMILIES}
HARMLESS = {"$labels.hypervisor", "$labels.uuid", "$labels.id", "$value"}
SEVERITIES = {"critical", "warning", "info"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FILES / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("file", ["alerts.yml", "grafana-dashboard.json"])
def test_every_metric_exists(file: str) -> None:
    named = set(re.findall(rf"\b{PREFIX}\w+", (FILES / file).read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= KNOWN


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alerts_are_whole(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("FleetRng")
    assert rule["labels"]["severity"] in SEVERITIES
    assert re.fullmatch("[0-9]+[mhd]", rule["for"])
    assert {"summary", "description"} == set(rule["annotations"])
    assert all(0 < len(text) < 400 for text in rule["annotations"].values())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_annotations_carry_no_text_of_guests(rule: dict[str, Any]) -> None:
    """Receivers render them: a guest's name could be a link or markup. Its UUID is libvirt's own."""
    for text in rule["annotations"].values():
        for template in re.findall(r"{{(.*?)}}", text):
            assert template.split("|")[0].strip() in HARMLESS


def test_alert_names_are_distinct() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


def test_the_dashboard_asks_for_its_data_source() -> None:
    names = [variable["name"] for variable in dashboard()["templating"]["list"]]
    assert names == ["datasource", "hypervisor"]
    for panel in dashboard()["panels"]:
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_every_panel_is_explained_and_obeys_the_choice_of_hypervisors() -> None:
    for panel in dashboard()["panels"]:
        assert panel["title"]
        assert panel["description"]
        for target in panel["targets"]:
            chosen = target["expr"].count('hypervisor=~"$hypervisor"')
            assert chosen == len(re.findall(PREFIX, target["expr"])) > 0


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
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


def test_no_panel_renders_what_guests_are_called() -> None:
    """Tables show text as text; a panel of HTML or Markdown, or a link made of a label, would not."""
    text = json.dumps(dashboard())
    assert {panel["type"] for panel in dashboard()["panels"]} <= {
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
