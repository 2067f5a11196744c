# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying real guests: sound ones, and those with each of the things that may be wrong with a guest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration.role.conftest import Fleet
from lab import GuestSpec, HostSpec, Lab, LabSpec
from lab.process import wait_for

SPEC = LabSpec(
    (
        HostSpec(
            "hv1",
            guests=(
                GuestSpec("sound"),
                GuestSpec("nodriver", driver=False),
                GuestSpec("drifted"),
                GuestSpec("silent", agent="absent", ssh=True),
                GuestSpec("full", spare_ports=0),
                GuestSpec("asleep", running=False),
            ),
        ),
        HostSpec("hv2", guests=(GuestSpec("measured"), GuestSpec("others", running=False))),
    )
)
# Agents, and guests that are to let a device go, may take their time: no test depends on how fast the machine is.
PATIENT = ("-e", json.dumps({"virtio_rng_view_timeout": 120, "virtio_rng_wait": 15}))
MEASURE = {"virtio_rng_guest_exec": True, "virtio_rng_monitor": True, "virtio_rng_measure": {"seconds": 5}}
POLICIES = {
    "guests": {"hosts": {"measured": {"virtio_rng_max_bytes": 4096}, "others": {"virtio_rng_state": "unmanaged"}}},
    "hypervisors": {"hosts": {"hv2": MEASURE}},
}
DRIFT = "<rng model='virtio'><rate bytes='65536' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"


@dataclass
class Verified:
    """What a run printed, and the verification that it came to."""

    output: str
    verification: dict[str, Any]

    @property
    def words(self) -> str:
        return " ".join(self.output.split())

    @property
    def guests(self) -> dict[str, dict[str, Any]]:
        return {guest["guest"]: guest for host in self.verification["hosts"].values() for guest in host["guests"]}

    @property
    def verdicts(self) -> dict[str, str]:
        return {name: guest["verdict"] for name, guest in self.guests.items()}

    def found(self, guest: str) -> list[str]:
        return [finding["id"] for finding in self.guests[guest]["findings"]]


Verify = Callable[..., Verified]


@pytest.fixture(scope="module")
def proven(boot_lab: Callable[[LabSpec], Lab], tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Guests that were enabled, one of them changed behind our back afterwards."""
    fleet = Fleet(boot_lab(SPEC), tmp_path_factory.mktemp("proven"))
    fleet.play("fleet.rng.enable_rng", inventory=POLICIES)
    for guest in map(fleet.lab.guest, ("sound", "drifted", "measured")):
        wait_for("the guest to use it", lambda guest=guest: guest.rng_current().startswith("virtio_rng"))
    drifted = fleet.lab.guest("drifted")
    drifted.host.write("/root/drift.xml", DRIFT)
    drifted.host.virsh("attach-device", "--live", "--domain", drifted.uuid, "--file", "/root/drift.xml")
    drifted.host.virsh("detach-device-alias", "--live", "--domain", drifted.uuid, "--alias", "ua-fleet-rng")
    wait_for("the guest to let it go", lambda: fleet.rates("drifted", live=True) == ["65536"])
    return fleet


def run(
    fleet: Fleet, directory: Path, *arguments: str, code: int, playbook: str = "verify_rng", inventory: Any = None
) -> Verified:
    """Run a playbook that verifies, to the exit code expected."""
    kept = directory / "verification.json"
    copy = {"content": "{{ hostvars.hv2.virtio_rng_verification.verification | to_json }}", "dest": str(kept)}
    keep = {"name": "Keep the verification", "ansible.builtin.copy": copy, "check_mode": False}
    plays = [
        {"import_playbook": f"fleet.rng.{playbook}"},
        {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [keep]},
    ]
    fleet.directory = directory
    output = fleet.play(plays, *PATIENT, *arguments, code=code, inventory=inventory or POLICIES)
    return Verified(output, json.loads(kept.read_text(encoding="utf-8")))


@pytest.fixture
def verify(proven: Fleet, tmp_path: Path) -> Verify:
    return partial(run, proven, tmp_path)


@pytest.fixture(scope="module")
def whole(proven: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """One run over all of them."""
    return run(proven, tmp_path_factory.mktemp("whole"), code=2)


EXPECTED = {
    "sound": "verified",
    "nodriver": "failed",
    "drifted": "failed",
    "silent": "unproven",
    "full": "waiting",
    "asleep": "off",
    "measured": "verified",
    "others": "unmanaged",
}


def test_every_verdict_in_one_run(whole: Verified) -> None:
    assert whole.verdicts == EXPECTED
    assert {name: whole.found(name) for name in EXPECTED} == {
        "sound": [],
        "nodriver": ["RNG109"],
        "drifted": ["RNG105"],
        "silent": ["RNG117"],
        "full": ["RNG103"],
        "asleep": [],
        "measured": [],
        "others": [],
    }


def test_the_sound_ones_passed_all_that_was_asked(proven: Fleet, whole: Verified) -> None:
    results = {name: check["result"] for name, check in whole.guests["sound"]["checks"].items()}
    assert results == {**dict.fromkeys(results, "pass"), "measured": "not applicable"}
    checks = whole.guests["measured"]["checks"]
    assert {check["result"] for check in checks.values()} == {"pass"}
    assert "as QEMU says" in checks["rate"]["message"]
    assert "4096 B / 1000 ms" in checks["measured"]["message"]
    assert proven.lab.guest("measured").rng_current() in checks["current"]["message"]


def test_the_table_names_the_bad_ones_and_their_remedies(whole: Verified) -> None:
    rows = {
        line.split()[0]: line.split()[1:] for line in whole.output.splitlines() if line[:4] in ("hv1 ", "hv2 ", "all ")
    }
    assert rows["all"] == ["8", "2", "2", "1", "1", "1", "1"]
    assert "hv1 nodriver RNG109 error" in whole.words
    assert "modprobe virtio_rng" in whole.words
    assert "65536 B / 1000 ms (live)" in whole.words
    assert "hv1 silent RNG117 unproven" in whole.words
    assert "virsh start full" in whole.words
    assert "2 of 7 guests verified" in whole.words


def test_the_exit_status_is_that_of_the_failed(whole: Verified) -> None:
    assert whole.verification["hosts"]["hv2"]["failure"] is None
    assert "2 of 6 guests failed: " in whole.words
    assert whole.output.count("failed=1") == 1
    assert whole.output.count("changed=0") == 2


def test_check_mode_is_the_same(verify: Verify, whole: Verified) -> None:
    again = verify("--check", code=2)
    assert {name: (again.verdicts[name], again.found(name)) for name in EXPECTED} == {
        name: (whole.verdicts[name], whole.found(name)) for name in EXPECTED
    }


def test_sound_hypervisors_end_well_and_strict_ones_ask_for_more(verify: Verify) -> None:
    assert verify("--limit", "hv2,localhost", code=0).verification["counts"]["verified"] == 1
    hosts = {
        **POLICIES["guests"]["hosts"],
        **{name: {"virtio_rng_state": "unmanaged"} for name in ("nodriver", "drifted")},
    }
    bad = {**POLICIES, "guests": {"hosts": hosts}}
    options = ("-e", json.dumps({"virtio_rng_guest_view": False, "virtio_rng_measure": {}}))
    lenient = verify(*options, code=0, inventory=bad)
    assert lenient.verification["counts"] == {
        **dict.fromkeys(lenient.verification["counts"], 0),
        "unproven": 3,
        "waiting": 1,
        "off": 1,
        "unmanaged": 3,
    }
    strict = verify(*options, "-e", "virtio_rng_verify_strict=true", code=2, inventory=bad)
    assert strict.verification["counts"] == lenient.verification["counts"]
    assert "3 of 6 guests not verified: full: waiting: " in strict.words


def test_in_steps_and_with_a_hypervisor_that_is_gone(verify: Verify) -> None:
    away = {"hosts": {"gone": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}
    inventory = {**POLICIES, "hypervisors": {"hosts": {**POLICIES["hypervisors"]["hosts"], **away["hosts"]}}}
    verified = verify("-e", "rng_serial=1", code=2, inventory=inventory)
    assert verified.output.count("PLAY [Look at the guests]") == 3
    assert verified.verdicts == EXPECTED
    assert verified.verification["hosts"]["gone"]["error"].startswith("not observed: ")
    assert "gone not verified not observed: " in verified.words
    assert "2 of 7 guests verified; 1 of 3 hypervisors could not be verified" in verified.words
    assert "Traceback" not in verified.output


def test_a_guest_without_an_agent_is_proven_over_its_own_connection(verify: Verify) -> None:
    asked = verify("-e", "rng_verify_guests=true", code=2)  # the others cannot be reached, which harms nobody
    assert asked.verdicts == {**EXPECTED, "silent": "verified"}
    assert "as rng_info says" in asked.guests["silent"]["checks"]["current"]["message"]


def test_a_connection_that_failed_is_said_and_not_advised(verify: Verify) -> None:
    hosts = {**POLICIES["guests"]["hosts"], "silent": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    lost = {**POLICIES, "guests": {"hosts": hosts}}
    asked = verify("-e", "rng_verify_guests=true", "--limit", "hv1,silent,localhost,hv2", code=2, inventory=lost)
    assert asked.verdicts == EXPECTED
    (found,) = asked.guests["silent"]["findings"]
    assert found["id"] == "RNG117"
    assert "; asked over its own connection: " in found["message"]
    assert "Connection refused" in found["message"]
    assert "inventory" not in found["remedy"]


def test_a_source_that_is_refused_there_is_said_and_nothing_is_reported_as_done(verify: Verify, proven: Fleet) -> None:
    # One hypervisor has to end well, or no later play would keep the verification.
    spared = {name: {"virtio_rng_state": "unmanaged"} for name in ("nodriver", "drifted")}
    hosts = {**POLICIES["guests"]["hosts"], **spared, "others": {"virtio_rng_source": "/dev/null"}}
    report = proven.directory / "report"
    options = ("-e", f"rng_report_dir={report}")
    refused = verify(*options, code=2, inventory={**POLICIES, "guests": {"hosts": hosts}})
    (found,) = refused.guests["others"]["findings"]
    assert found["id"] == "RNG101"
    assert found["message"].endswith("; source /dev/null: device 1:3 is no source of randomness.")
    assert found["remedy"].startswith("Set virtio_rng_source ")
    hypervisors = json.loads((report / "report.json").read_text(encoding="utf-8"))["hosts"]
    outcomes = {guest["name"]: guest["outcome"] for host in hypervisors for guest in host["guests"]}
    assert [host["check_mode"] for host in hypervisors] == [False, False]
    assert (outcomes["others"]["config"], outcomes["others"]["changed"]) == ("unchanged", False)
    assert (outcomes["full"]["live"], outcomes["full"]["changed"]) == ("needs_restart", False)


def test_enabling_proves_afterwards_and_mends_what_had_drifted(proven: Fleet, verify: Verify) -> None:
    dry = proven.play("fleet.rng.enable_rng", "-e", "rng_verify=true", "--check", inventory=POLICIES)
    assert "guests verified" not in dry
    enabled = verify("-e", "rng_verify=true", code=2, playbook="enable_rng")
    assert enabled.verdicts == {**EXPECTED, "drifted": "verified"}
    assert proven.rates("drifted", live=True) == ["1024"]
    assert "1 of 6 guests failed: nodriver: " in enabled.words
