# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rng_plan in real runs of ansible-playbook, with canned observations: what Ansible's own precedence makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab.process import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


def run(tmp_path: Path, *arguments: str, play: str = "answer", inventory: str = "inventory") -> dict[str, Any]:
    """Run the playbook, and return what it kept of the first plan or of the one with play variables."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(PLAYBOOK), "-i", inventory, "plan.yml", f"--extra-vars=answers={tmp_path}", *arguments]
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads((tmp_path / f"{play}.json").read_text(encoding="utf-8"))
    return answer


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("plan"))


def wanted(answer: dict[str, Any], host: str, field: str) -> dict[str, Any]:
    guests = answer["plan"]["hosts"][host]["guests"]
    return {guest["guest"]: guest["wanted"][field] for guest in guests if guest["wanted"]}


def test_precedence_of_groups_and_hosts_is_that_of_ansible(answer: dict[str, Any]) -> None:
    assert wanted(answer, "hv1", "max_bytes") == {
        "web1": 2000,
        "front1": 3000,
        "front2": 3333,
        "both1": 4000,
        "both2": 5000,
        "templated": 80,
        "vm-17": 1000,
    }


def test_the_rest_comes_from_the_hypervisor_then_the_role_then_the_collection(answer: dict[str, Any]) -> None:
    guest = answer["plan"]["hosts"]["hv1"]["guests"][0]
    assert guest["wanted"] == {
        "source": "/dev/urandom",
        "max_bytes": 2000,
        "period": 500,
        "model": "virtio",
        "driver": {"packed": True},
    }
    assert guest["from"] == {
        "state": "collection default",
        "source": "collection default",
        "max_bytes": "guest web1: virtio_rng_max_bytes",
        "period": "hypervisor hv1: virtio_rng_period",
        "model": "collection default",
        "driver": "hypervisor hv1: virtio_rng_driver",
    }


def test_guests_are_matched_by_uuid_and_short_name(answer: dict[str, Any]) -> None:
    guests = {guest["guest"]: guest["inventory"] for guest in answer["plan"]["hosts"]["hv1"]["guests"]}
    assert guests["vm-17"] == "named-otherwise"
    assert guests["templated"] == "templated.example.com"


def test_one_bad_variable_refuses_one_guest(answer: dict[str, Any]) -> None:
    refused = {item["guest"]: item["reason"] for item in answer["plan"]["hosts"]["hv1"]["refused"]}
    assert sorted(refused) == ["invalid1", "undefined1"]
    assert refused["invalid1"].startswith("guest invalid1: virtio_rng_max_bytes: '1k' is not valid")
    assert refused["undefined1"].startswith("guest undefined1: virtio_rng_max_bytes: its template failed: ")
    assert "no_such_variable" in refused["undefined1"]


def test_a_host_without_observation_harms_nobody_else(answer: dict[str, Any]) -> None:
    assert answer["plan"]["hosts"]["hv3"]["error"] == "not observed: nothing was seen"
    assert answer["plan"]["unknown_guests"] == []


def test_names_are_never_templated(answer: dict[str, Any]) -> None:
    seen = [guest["name"] for guest in json.loads((HERE / "files" / "hv2.json").read_text(encoding="utf-8"))["guests"]]
    planned = answer["plan"]["hosts"]["hv2"]
    assert [guest["guest"] for guest in planned["guests"]] == seen
    assert [device["guest"] for device in planned["devices"]] == [*seen[:3], *seen[4:6]]
    assert answer["recalled"][-5:] == [*seen[:3], *seen[4:6]]


def test_overrides_and_budget(answer: dict[str, Any]) -> None:
    planned = answer["plan"]["hosts"]["hv2"]
    assert planned["budget"] == {"bytes_per_second": 10000, "promised": 8290, "guests": 5, "measured": None}
    assert wanted(answer, "hv2", "max_bytes")["{{7*7}}"] == 49
    assert planned["guests"][0]["from"]["max_bytes"] == "virtio_rng_overrides[0] of hv2 (match *7[*]7*)"
    assert {guest["guest"]: guest["state"] for guest in planned["guests"]}["-x"] == "absent"
    assert wanted(answer, "hv2", "model")["5"] == "virtio-transitional"


def test_the_recap(answer: dict[str, Any]) -> None:
    lines = answer["recap"]
    assert lines[0].split("  ")[0] == "hypervisor"
    assert [line.split()[0] for line in lines[1:6]] == ["hv1", "hv2", "hv3", "hv9", "all"]
    assert max(map(len, lines)) <= 100
    assert [line.split() for line in lines if "as if" in line] == [["hv1", "failed", "as", "if", "it", "had", "failed"]]


def test_variables_of_the_play_are_the_hypervisors_own(tmp_path: Path) -> None:
    """They win over the inventory's for hypervisors, and lose to what guests set."""
    answer = run(tmp_path, "--tags=play_vars,always,all", play="play_vars")
    guest = answer["plan"]["hosts"]["hv1"]["guests"][0]
    assert guest["wanted"] == {
        "source": "builtin",
        "max_bytes": 2000,
        "period": 125,
        "model": "virtio",
        "driver": {"packed": True},
    }
    assert guest["from"]["source"] == "hypervisor hv1: virtio_rng_source"
    assert wanted(answer, "hv2", "max_bytes") == dict.fromkeys(wanted(answer, "hv2", "max_bytes"), 77)
    assert wanted(answer, "hv2", "model")["5"] == "virtio"


def test_extra_variables_win_over_everything(tmp_path: Path) -> None:
    answer = run(tmp_path, "--extra-vars=virtio_rng_max_bytes=9", "--extra-vars=virtio_rng_period=11")
    assert set(wanted(answer, "hv1", "max_bytes").values()) == {9}
    assert set(wanted(answer, "hv2", "period").values()) == {11}
    assert answer["plan"]["hosts"]["hv1"]["guests"][0]["from"]["period"] == "guest web1: virtio_rng_period"


def test_batches_remember_the_hypervisors_of_earlier_ones(tmp_path: Path) -> None:
    answer = run(tmp_path, "--extra-vars=batch=1", "--limit=hv1,hv2")
    assert list(answer["plan"]["hosts"]) == ["hv2"]
    copy = answer["plan"]["hosts"]["hv2"]["guests"][-1]
    assert (copy["guest"], copy["state"]) == ("vm-17", "unmanaged")
    assert copy["reason"].startswith("left alone: the same guest runs as vm-17 on hv1")


def test_check_mode_plans_the_same(tmp_path: Path, answer: dict[str, Any]) -> None:
    assert run(tmp_path, "--check")["plan"] == answer["plan"]


NO_HWRNG = "is not safe: the kernel of this host has no hardware RNG selected (rng_current)"


def test_a_guest_gets_no_source_that_it_would_not_find_in_its_migration_groups(tmp_path: Path) -> None:
    plan = run(tmp_path, inventory="migration")["plan"]
    (refused,) = plan["hosts"]["mv1"]["refused"]
    assert refused["reason"] == (
        f"guest ca1 may move to mv2 (virtio_rng_migration_groups: rack_a), where source /dev/hwrng {NO_HWRNG}; "
        "give it another source, or set virtio_rng_migration to warn"
    )
    assert [device["guest"] for device in plan["hosts"]["mv1"]["devices"]] == ["web1"]
    assert [device["guest"] for device in plan["hosts"]["mv2"]["devices"]] == ["db2"]
    assert [device["guest"] for device in plan["hosts"]["mv3"]["devices"]] == ["ca3"]
    source, definition = plan["warnings"]
    assert source == f"migration group rack_b: on mv2 source /dev/hwrng {NO_HWRNG}; guests that may move there: ca3"
    assert definition.startswith("mv2 has other definitions of guests that run elsewhere, with /dev/random, 512 B")
    assert definition.endswith(": web1")
    (obstacle,) = next(guest for guest in plan["hosts"]["mv1"]["guests"] if guest["guest"] == "web1")["obstacles"]
    assert obstacle.startswith("mv2 has another definition of it, with /dev/random, 512 B / 1000 ms;")


def test_the_operator_may_be_warned_or_left_in_peace(tmp_path: Path) -> None:
    plan = run(tmp_path, "--extra-vars=virtio_rng_migration=warn", inventory="migration")["plan"]
    assert [guest["guest"] for guest in plan["hosts"]["mv1"]["devices"]] == ["web1", "ca1"]
    assert [line.split(" ")[2] for line in plan["warnings"][:2]] == ["rack_a:", "rack_b:"]
    plan = run(tmp_path, "--extra-vars=virtio_rng_migration=ignore", inventory="migration")["plan"]
    assert plan["warnings"] == []


def test_hypervisors_of_a_migration_group_count_when_an_earlier_batch_observed_them(tmp_path: Path) -> None:
    plan = run(tmp_path, "--extra-vars=batch=1", inventory="migration")["plan"]
    assert list(plan["hosts"]) == ["mv3"]
    assert [line.split(" ")[2:5] for line in plan["warnings"]] == [["rack_b:", "on", "mv2"]]
    (unseen,) = run(tmp_path, "--limit=mv3", inventory="migration")["plan"]["warnings"]
    assert unseen.startswith("migration group rack_b: not observed in this run")
    assert unseen.endswith(": mv2")


def test_a_migration_group_that_does_not_exist_is_an_error_of_its_hypervisors(tmp_path: Path) -> None:
    arguments = ("--limit=mv1", '--extra-vars={"virtio_rng_migration_groups": ["rack_z"]}')
    assert run(tmp_path, *arguments, inventory="migration")["plan"]["hosts"]["mv1"]["error"] == (
        "hypervisor mv1: virtio_rng_migration_groups: 'rack_z' is not valid; "
        "allowed: the names of inventory groups that hold this hypervisor: hypervisors, rack_a"
    )


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("kinds"), inventory="kinds")


KINDS = ("ganeti", "libvirt", "proxmox", "qemu")


def test_one_policy_holds_on_every_kind_of_hypervisor(kinds: dict[str, Any]) -> None:
    wanted = [kinds["plan"]["hosts"][f"kind-{kind}"]["guests"][0]["wanted"] for kind in KINDS]
    device = {"source": "/dev/urandom", "max_bytes": 1024, "period": 500, "model": "virtio", "driver": {}}
    assert wanted == [device] * 4
    assert kinds["plan"]["warnings"] == []


def test_the_plan_says_what_a_kind_cannot_do_while_a_guest_runs(kinds: dict[str, Any]) -> None:
    guests = {kind: kinds["plan"]["hosts"][f"kind-{kind}"]["guests"][0] for kind in KINDS}
    assert {kind: (guest["config"], guest["live"]) for kind, guest in guests.items()} == {
        "ganeti": ("added", "needs_restart"),
        "libvirt": ("added", "added"),
        "proxmox": ("added", "needs_restart"),
        "qemu": ("not_applicable", "added"),
    }
    assert guests["proxmox"]["obstacles"] == ["this hypervisor cannot hot-plug an RNG"]
    restarts = {kind: kinds["plan"]["hosts"][f"kind-{kind}"]["devices"][0].get("restart") for kind in KINDS}
    assert restarts == {"ganeti": None, "libvirt": None, "proxmox": None, "qemu": True}


def test_the_plan_refuses_what_a_kind_cannot_carry(kinds: dict[str, Any]) -> None:
    refused = {kind: [item["reason"] for item in kinds["plan"]["hosts"][f"kind-{kind}"]["refused"]] for kind in KINDS}
    assert refused == {
        "ganeti": ["source egd+unix:/run/egd.sock: this hypervisor offers random, builtin"],
        "libvirt": [],
        "proxmox": ["source egd+unix:/run/egd.sock: this hypervisor offers random"],
        "qemu": [],
    }
    rows = [line.split()[:2] for line in kinds["recap"][1:] if line]
    assert [row for row in rows if row[0].startswith("kind-")][:4] == [[f"kind-{kind}", "2"] for kind in KINDS]


def test_the_variable_has_to_name_the_kind_that_answered(tmp_path: Path) -> None:
    plan = run(tmp_path, "--extra-vars=virtio_rng_hypervisor=qemu", inventory="kinds")["plan"]
    assert {host.partition("-")[2]: planned["error"] is None for host, planned in plan["hosts"].items()} == {
        kind: kind == "qemu" for kind in KINDS
    }
    assert plan["hosts"]["kind-proxmox"]["error"].endswith("'qemu' is not valid; allowed: auto, proxmox")
