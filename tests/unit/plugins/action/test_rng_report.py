# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action, from its options and the variables of a run to the files."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.fleet.rng.plugins.action import rng_report
from ansible_collections.fleet.rng.plugins.modules import rng_report as twin
from ansible_collections.fleet.rng.tests.fleet.generate import fleet

FLEET = tuple(fleet(3, 4))
NAMES = [registered.name for registered, dummy in FLEET]
PARTS = ("observation", "plan", "result", "proof", "verification")


class HostVars(dict[str, Any]):
    """Variables by host, as tasks registered them."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        super().__init__(variables)
        self.asked: list[str] = []

    def raw_get(self, name: str) -> Any:
        self.asked.append(name)
        return self[name]


def variables(hosts: Sequence[Any] = FLEET, **changes: Any) -> dict[str, Any]:
    """What Ansible hands to the task."""
    hostvars: dict[str, Any] = {"localhost": {}}
    groups: dict[str, list[str]] = {"all": [], "ungrouped": ["localhost"], "hypervisors": []}
    for registered, inventory in hosts:
        own = {f"virtio_rng_{part}": getattr(registered, part) for part in PARTS}
        for part in ("plan", "verification"):  # what the actions of these names return around it
            own[f"virtio_rng_{part}"] = {"changed": False, part: own[f"virtio_rng_{part}"]}
        hostvars[registered.name] = own
        groups["hypervisors"].append(registered.name)
        for name, of_guest in inventory.groups.items():
            hostvars[name] = {}
            for group in of_guest:
                groups.setdefault(group, []).append(name)
    names = [registered.name for registered, dummy in hosts]
    made = {"hostvars": HostVars(hostvars), "groups": groups, "ansible_play_hosts_all": names}
    return {**made, "ansible_check_mode": False, **changes}


def run(task_vars: dict[str, Any], *, check: bool = False, **args: Any) -> dict[str, Any]:
    task = SimpleNamespace(
        args=args,
        action="fleet.rng.rng_report",
        async_val=0,
        check_mode=check,
        diff=False,
        environment=[],
        delegate_to=None,
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    result: dict[str, Any] = rng_report.ActionModule(task, connection, None, None, None, None).run(task_vars=task_vars)
    return result


def report(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    return content


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def test_a_run_and_the_same_again(tmp_path: Path) -> None:
    dest = tmp_path / "new" / "report"
    first = run(variables(), dest=str(dest))
    files = ["guests.csv", *(f"hosts/{name}.json" for name in NAMES), "report.html", "report.json", "rng.prom"]
    assert names(dest) == files
    assert first["changed"] is True
    assert first["paths"] == {
        "html": f"{dest}/report.html",
        "json": f"{dest}/report.json",
        "csv": f"{dest}/guests.csv",
        "openmetrics": f"{dest}/rng.prom",
    }
    assert (first["hypervisors"], first["not_observed"]) == (3, [])
    assert first["summary"]["guests"]["guests"] == 12
    assert first["line"].startswith("Report: 3 hypervisors, 12 guests, ")
    assert "warnings" not in first
    before = report(dest)
    again = run(variables(), dest=str(dest))
    assert again == {**first, "changed": False}
    after = report(dest)
    assert after.pop("generated") >= before.pop("generated")
    assert [host["hypervisor"] for host in after["hosts"]] == NAMES
    assert names(dest) == files


def test_what_was_registered_is_what_is_reported(tmp_path: Path) -> None:
    run(variables(), dest=str(tmp_path), formats=["json"])
    (host, *dummy) = report(tmp_path)["hosts"]
    registered, inventory = FLEET[0]
    assert host["groups"] == ["hypervisors"]
    assert [rule["id"] for rule in host["compliance"]]
    assert {guest["name"] for guest in host["guests"]} == {seen["name"] for seen in registered.observation["guests"]}
    verdicts = {
        guest["uuid"]: guest["verdict"] for guest in registered.verification["hosts"][host["hypervisor"]]["guests"]
    }
    for guest in host["guests"]:
        assert guest["verdict"] == verdicts[guest["uuid"]]
        assert guest["groups"] == list(inventory.groups.get(guest["inventory"], ()))
        assert guest["after"] is not None


def test_check_mode_writes_nothing_and_says_what_it_would(tmp_path: Path) -> None:
    assert run(variables(), check=True, dest=str(tmp_path / "report"))["changed"] is True
    assert list(tmp_path.iterdir()) == []
    run(variables(), dest=str(tmp_path / "report"))
    written = names(tmp_path)
    assert run(variables(ansible_check_mode=False), check=True, dest=str(tmp_path / "report"))["changed"] is True
    assert report(tmp_path / "report")["summary"]["check_mode"] is False
    assert names(tmp_path) == written


def test_a_run_in_check_mode_whose_report_is_written_says_that_it_was_one(tmp_path: Path) -> None:
    result = run(variables(ansible_check_mode=True), dest=str(tmp_path))
    assert result["summary"]["check_mode"] is True
    assert all(host["check_mode"] for host in report(tmp_path)["hosts"])


def test_runs_with_a_part_of_the_fleet_add_up(tmp_path: Path) -> None:
    run(variables(FLEET[:1]), dest=str(tmp_path))
    result = run(variables(FLEET[1:]), dest=str(tmp_path))
    assert result["hypervisors"] == 3
    assert [host["hypervisor"] for host in report(tmp_path)["hosts"]] == NAMES


def test_slices_are_merged_without_a_run(tmp_path: Path) -> None:
    for index, part in enumerate(FLEET):
        run(variables([part]), dest=str(tmp_path / f"slice{index}"), formats=["json"])
    named = [str(tmp_path / f"slice{index}") for index in range(3)]
    merged = run(variables(), dest=str(tmp_path / "all"), hosts=[], results=named, title="All")
    assert (merged["hypervisors"], report(tmp_path / "all")["title"]) == (3, "All")
    assert run(variables(), dest=str(tmp_path), hosts=[], formats=["json"])["hypervisors"] == 3


def test_only_some_formats(tmp_path: Path) -> None:
    result = run(variables(), dest=str(tmp_path), formats=["csv"])
    assert names(tmp_path) == ["guests.csv"]
    assert result["paths"] == {"csv": f"{tmp_path}/guests.csv"}


def test_a_host_that_registered_nothing_is_reported_as_lost(tmp_path: Path) -> None:
    result = run(variables(hosts := FLEET[:1]), dest=str(tmp_path), hosts=[hosts[0][0].name, "localhost"])
    assert result["not_observed"] == ["localhost"]
    assert "2 hypervisors (1 not observed)" in result["line"]


def test_guests_that_were_asked_themselves(tmp_path: Path) -> None:
    registered, inventory = next(fleet(1, 1))
    guest = registered.plan["hosts"][registered.name]["guests"][0]
    guest["inventory"] = "web1.example.com"
    registered.proof["guests"][0]["guest_view"] = None
    task_vars = variables([(registered, inventory)])
    rng = {"kernel": {"release": "6.1-ssh"}, "current": None, "available": [], "findings": [], "virtio_rng": "loaded"}
    task_vars["hostvars"]["web1.example.com"] = {"virtio_rng_inside": {"rng": rng}}
    run(task_vars, dest=str(tmp_path), formats=["json"])
    view = report(tmp_path)["hosts"][0]["guests"][0]["view"]
    assert (view["via"], view["kernel"]) == ("ssh", "6.1-ssh")


def test_variables_of_other_names(tmp_path: Path) -> None:
    task_vars = variables(FLEET[:1])
    own = task_vars["hostvars"][NAMES[0]]
    task_vars["hostvars"][NAMES[0]] = {name.replace("virtio_rng_", "my_"): value for name, value in own.items()}
    run(task_vars, dest=str(tmp_path), formats=["json"], **{part: f"my_{part}" for part in PARTS})
    (host,) = report(tmp_path)["hosts"]
    assert host["error"] is None
    assert all(guest["verdict"] and guest["after"] for guest in host["guests"])


def test_what_cannot_be_merged_is_a_warning_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    for index in range(25):
        (tmp_path / "hosts" / f"bad{index:02}.json").write_text("{")
    result = run(variables(), dest=str(tmp_path), results=[str(tmp_path / "gone")])
    assert len(result["warnings"]) == 21
    assert result["warnings"][0].startswith(f"{tmp_path}/hosts/bad00.json: left out: it is not JSON")
    assert result["warnings"][-1] == "... and 6 more, in the report"
    warnings = report(tmp_path)["summary"]["warnings"]
    assert warnings[-1] == f"{tmp_path}/gone: left out: there is no such directory"
    assert (tmp_path / "hosts" / "bad00.json").read_text() == "{"


def test_nothing_to_report_is_an_error_that_names_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "bad.json").write_text("{")
    with pytest.raises(AnsibleActionFail) as caught:
        run(variables(), dest=str(tmp_path), hosts=[], results=["/gone"])
    message = str(caught.value)
    assert message.startswith(
        f"nothing to report: no hypervisor in this run, and no host document in {tmp_path}, /gone"
    )
    assert f"{tmp_path}/hosts/bad.json: left out: it is not JSON" in message
    assert names(tmp_path) == ["hosts/bad.json"]


@pytest.mark.parametrize(
    ("given", "files", "directories"),
    [
        ({}, 0o644, 0o755),
        ({"mode": "0640", "directory_mode": "750"}, 0o640, 0o750),
        ({"mode": 0o600, "directory_mode": 0o700}, 0o600, 0o700),
    ],
)
def test_permissions(tmp_path: Path, given: dict[str, Any], files: int, directories: int) -> None:
    run(variables(), dest=str(tmp_path / "a" / "b"), **given)
    for path in (tmp_path / "a").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (directories if path.is_dir() else files), path


def test_a_relative_directory_begins_where_ansible_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(variables(), dest="reports", formats=["csv"])
    assert result["paths"] == {"csv": f"{tmp_path}/reports/guests.csv"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnsibleActionFail, match=f"{tmp_path}/file/.*: Not a directory|{tmp_path}/file: File exists"):
        run(variables(), dest=str(tmp_path / "file" / "report"))
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208  names are enough


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "missing required arguments: dest"),
        ({"dest": "/x", "formats": ["pdf"]}, "formats must be one or more of"),
        ({"dest": "/x", "colour": "red"}, "Unsupported parameters for .*rng_report.* module: colour"),
        ({"dest": "/x", "mode": "u=rw"}, "mode: 'u=rw' is not valid; allowed: octal digits such as '0644'"),
        ({"dest": "/x", "mode": True}, "mode: True is not valid"),
        ({"dest": "/x", "directory_mode": "0888"}, "directory_mode: '0888' is not valid"),
        ({"dest": "/x", "hosts": ["nobody\n"]}, r"hosts: not in the inventory: nobody\\x0a"),
    ],
)
def test_mistaken_options_are_refused(args: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        run(variables(), **args)
    assert not Path("/x").exists()


def test_guests_are_only_looked_up_where_their_agent_said_nothing(tmp_path: Path) -> None:
    task_vars = variables(FLEET[:1])
    run(task_vars, dest=str(tmp_path), formats=["json"])
    guests = report(tmp_path)["hosts"][0]["guests"]
    asked = task_vars["hostvars"].asked[1:]
    assert asked == [guest["inventory"] for guest in guests if (guest["view"] or {}).get("status") != "seen"]


def test_the_options_are_those_of_the_documentation() -> None:
    documented = yaml.safe_load(twin.DOCUMENTATION)["options"]
    keys = ("type", "elements", "required", "default", "choices")
    described = {name: {key: option[key] for key in keys if key in option} for name, option in documented.items()}
    assert described == rng_report.ARGUMENT_SPEC


def test_every_result_is_documented(tmp_path: Path) -> None:
    result = run(variables(), dest=str(tmp_path), formats=["csv"])
    assert set(result) - {"changed"} == set(yaml.safe_load(twin.RETURN))
