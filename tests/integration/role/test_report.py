# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as operators make them: of a run, of a dry one, and of slices that are merged. Most need no hypervisor."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.tests.fleet import generate
from integration.role.conftest import REPOSITORY
from lab.process import PATIENCE
from prometheus_client.openmetrics.parser import text_string_to_metric_families

SEEN = {
    registered.name: {key: registered.observation[key] for key in ("host", "guests")}
    for registered, dummy in generate.fleet(2, 30)
}
HYPERVISORS = list(SEEN)
for guest, name in zip(SEEN[HYPERVISORS[0]]["guests"], generate.NASTY, strict=False):
    guest["name"] = name
FILES = ("guests.csv", "report.html", "report.json", "rng.prom")

RUN = [
    {
        "hosts": "hypervisors",
        "gather_facts": False,
        "tasks": [
            {
                "name": "See",
                "canned": {"path": "{{ seen }}/{{ inventory_hostname }}.json"},
                "register": "virtio_rng_observation",
                "ignore_errors": True,
            },
            {"name": "Plan", "fleet.rng.rng_plan": {}, "register": "virtio_rng_plan", "run_once": True},
            {"name": "Report", "import_role": {"name": "fleet.rng.rng_report"}},
        ],
    }
]


@dataclass
class Operator:
    """Somebody with an inventory of hypervisors that were observed already."""

    directory: Path

    def play(self, playbook: str, *arguments: str, code: int = 0) -> str:
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.yml", playbook, *arguments]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
            "ANSIBLE_LIBRARY": str(REPOSITORY / "tests" / "integration" / "plan" / "library"),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *arguments: str, into: str = "report") -> str:
        return self.play("run.yml", "-e", f"rng_report_dir={into}", "-e", f"seen={self.directory}", *arguments)

    def report(self, of: str = "report") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.directory / of / "report.json").read_text(encoding="utf-8"))
        return content


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    groups: dict[str, dict[str, Any]] = {}
    for dummy, inventory in generate.fleet(2, 30):
        for name, of_guest in inventory.groups.items():
            for group in of_guest:
                groups.setdefault(group, {"hosts": {}})["hosts"][name] = {}
    groups = {name: group for name, group in groups.items() if name.isidentifier()}
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hypervisors = {name: dict(here) for name in HYPERVISORS}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({**groups, "hypervisors": {"hosts": hypervisors}}))
    (tmp_path / "run.yml").write_text(yaml.safe_dump(RUN))
    for name, seen in SEEN.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(seen))
    return Operator(tmp_path)


def test_a_run_leaves_its_report(operator: Operator) -> None:
    (operator.directory / f"{HYPERVISORS[1]}.json").unlink()
    output = operator.run()
    directory = operator.directory / "report"
    assert "Report: 2 hypervisors (1 not observed), 30 guests, " in output
    assert all(str(directory / name) in output for name in FILES)
    report = operator.report()
    assert [host["error"] for host in report["hosts"]] == [None, "not observed: nothing was seen"]
    names = {guest["name"] for guest in report["hosts"][0]["guests"]}
    assert names == {guest["name"] for guest in SEEN[HYPERVISORS[0]]["guests"]}
    assert names >= set(generate.NASTY)
    with (directory / "guests.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["guest"].removeprefix("'") for row in csv.DictReader(stream)} == names
    text = (directory / "rng.prom").read_text(encoding="utf-8")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families["fleet_rng_guest_running"].samples) == len(names)
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert "<script>alert(1)" not in page
    # The hypervisors are as they were: what is written is only the report.
    assert "changed=1" not in output


def test_names_are_no_templates(operator: Operator) -> None:
    seen = SEEN[HYPERVISORS[0]]
    named = {**seen, "guests": [{**seen["guests"][0], "name": "{{ 7*7 }}{% if x %}"}]}
    (operator.directory / f"{HYPERVISORS[0]}.json").write_text(json.dumps(named))
    operator.run()
    assert [guest["name"] for guest in operator.report()["hosts"][0]["guests"]] == ["{{ 7*7 }}{% if x %}"]


def test_groups_come_from_the_inventory(operator: Operator) -> None:
    operator.run()
    tallies = {group["name"]: group["guests"] for group in operator.report()["summary"]["groups"]}
    assert tallies["guests"] == tallies["production"] + tallies["staging"]
    assert operator.report()["hosts"][0]["groups"] == ["hypervisors"]


def test_a_dry_run_leaves_a_report_that_says_so(operator: Operator) -> None:
    operator.run("--check")
    assert [host["check_mode"] for host in operator.report()["hosts"]] == [True, True]
    assert operator.report()["summary"]["check_mode"] is True


def test_slices_merge_to_the_report_of_the_whole(operator: Operator) -> None:
    operator.run(into="whole")
    for index, name in enumerate(HYPERVISORS):
        operator.run("--limit", name, into=f"slices/{index}")
        assert [host["hypervisor"] for host in operator.report(f"slices/{index}")["hosts"]] == [name]
    (operator.directory / "slices" / "0" / "hosts" / "bad.json").write_text('{"schema": "fleet.rng/host/1"}')
    output = operator.play("fleet.rng.report_rng", "-e", "rng_report_dir=slices", "-e", "rng_report_title=All")
    assert "bad.json: left out: it has no collected" in " ".join(output.split())
    assert "Report: 2 hypervisors, 60 guests, " in output
    merged, whole = operator.report("slices"), operator.report("whole")
    assert merged["title"] == "All"
    for host in [*merged["hosts"], *whole["hosts"]]:
        # A warning that names no hypervisor is in the first document of its run.
        host.update(collected="", warnings=[])
    assert merged["hosts"] == whole["hosts"]


def test_directories_that_are_named_merge_too(operator: Operator) -> None:
    for name in HYPERVISORS:
        operator.run("--limit", name, "-e", '{"rng_report_formats": ["json"]}', into=f"of-{name}")
    named = json.dumps({"rng_report_merge": [f"of-{name}" for name in HYPERVISORS]})
    operator.play("fleet.rng.report_rng", "-e", "rng_report_dir=all", "-e", named)
    assert [host["hypervisor"] for host in operator.report("all")["hosts"]] == HYPERVISORS
    assert not (operator.directory / f"of-{HYPERVISORS[0]}" / "report.html").exists()


def test_nothing_to_merge_is_an_error(operator: Operator) -> None:
    output = operator.play("fleet.rng.report_rng", "-e", "rng_report_dir=nothing", code=2)
    assert "nothing to report: no hypervisor in this run, and no host document in " in " ".join(output.split())
    assert not (operator.directory / "nothing").exists()


def test_a_directory_is_needed(operator: Operator) -> None:
    output = operator.play("fleet.rng.report_rng", code=2)
    assert "missing required arguments: rng_report_dir" in " ".join(output.split())


def test_a_real_run(fleet: Any) -> None:
    report = fleet.directory / "report"
    play = {
        "hosts": "hypervisors",
        "gather_facts": False,
        "tasks": [
            {"import_role": {"name": "fleet.rng.virtio_rng", "tasks_from": "converge"}},
            {"import_role": {"name": "fleet.rng.rng_report"}},
        ],
    }
    fleet.play([play], "-e", f"rng_report_dir={report}")
    first = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert first["summary"]["outcomes"] == {
        "changed": 4,
        "needs_restart": 0,
        "pending_removal": 0,
        "refused": 0,
        "failed": 0,
    }
    found = {guest["name"]: guest for host in first["hosts"] for guest in host["guests"]}
    assert {name: (guest["outcome"]["config"], guest["outcome"]["live"]) for name, guest in found.items()} == {
        "one": ("added", "not_applicable"),
        "two": ("added", "not_applicable"),
        "three": ("added", "not_applicable"),
        "four": ("added", "added"),
    }
    assert {host["kind"] for host in first["hosts"]} == {"libvirt"}
    assert all(host["rng"]["kernel"]["release"] and host["compliance"] for host in first["hosts"])
    assert fleet.play([play], "-e", f"rng_report_dir={report}").count("changed=0") == 2
    again = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert again["summary"]["outcomes"]["changed"] == 0
    assert again["summary"]["guests"]["config"] == 4
