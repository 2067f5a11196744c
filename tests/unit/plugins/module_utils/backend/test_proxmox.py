# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxmox VE as a hypervisor: the two modules over the stand-in for its API command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import proxmox as backend
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.module import apply
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox as transport
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox_api
from ansible_collections.fleet.rng.plugins.modules import proxmox_rng, proxmox_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import (
    Node,
    access_to,
    in_process,
    serving,
)

OURS = "source=/dev/urandom,period=1000,max_bytes=1024"
UUID = "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11"
STATUSES = ("changed", "config", "live", "error")


@pytest.fixture(params=["files", "API only", "HTTPS"])
def node(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Path
) -> Iterator[Node]:
    """A node whose configurations can be read as files, one where only the API tells, and one that is elsewhere."""
    found = Node(tmp_path / "node")
    monkeypatch.setenv("PATH", f"{found.root / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PVE_STAND_IN", str(found.root))
    monkeypatch.setattr(transport, "bounded_run", in_process())
    monkeypatch.setattr(apply.time, "sleep", lambda seconds: None)
    found.files = request.param == "files"
    folder = str(found.configs if found.files else tmp_path / "nowhere")
    monkeypatch.setattr(backend.Backend.__init__, "__defaults__", (None, folder))
    if request.param != "HTTPS":
        yield found
        return
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(transport, "bounded_run", None)
    monkeypatch.setattr(proxmox_api, "_POLL_SECONDS", 0.01)
    with serving(certificates) as port:
        access = access_to(port, certificates)
        monkeypatch.setattr(backend.Backend.__init__, "__kwdefaults__", {"access": access})
        yield found


def outcome(result: dict[str, Any], number: int = 0) -> tuple[Any, ...]:
    return tuple(result["guests"][number][name] for name in STATUSES)


def test_a_guest_that_is_off(node: Node, run_module: Any) -> None:
    before = "memory: 512\nname: web1\n"
    node.add(101, before)
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1"}])
    assert outcome(result) == (True, "added", "not_applicable", None)
    assert node.text(101) == f"{before}rng0: {OURS}\n"
    assert outcome(run_module(proxmox_rng.main, devices=[{"guest": "101"}])) == (
        *(False, "unchanged", "not_applicable"),
        None,
    )
    assert len(node.writes) == 1
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1", "state": "absent"}], exclusive=False)
    assert outcome(result) == (True, "removed", "not_applicable", None)
    assert node.text(101) == before


def test_a_guest_that_runs(node: Node, run_module: Any) -> None:
    before = "name: web1\nrng0: /dev/random\n"
    node.add(101, before, running=True)
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1"}])
    assert outcome(result) == (True, "replaced", "needs_restart", None)
    assert node.text(101) == f"{before}\n[PENDING]\nrng0: {OURS}\n"
    assert len(node.writes) == 1, "taking the place of a device and removing it is one step"
    (guest,) = run_module(proxmox_rng_info.main)["guests"]
    assert [device["source"] for device in guest["config"] + guest["live"]] == ["/dev/urandom", "/dev/random"]
    assert outcome(run_module(proxmox_rng.main, devices=[{"guest": "web1"}])) == (
        *(False, "unchanged", "needs_restart"),
        None,
    )
    # What the running guest has, wanted again: nothing is left pending.
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1", "source": "/dev/random"}])
    assert outcome(result) == (True, "replaced", "unchanged", None)
    assert node.text(101) == before


def test_a_removal_waits_for_the_next_start(node: Node, run_module: Any) -> None:
    node.add(101, f"name: web1\nrng0: {OURS}\n", running=True)
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1", "state": "absent"}])
    assert outcome(result) == (True, "removed", "needs_restart", None)
    assert node.text(101).endswith("\n[PENDING]\ndelete: rng0\n")
    assert outcome(run_module(proxmox_rng.main, devices=[{"guest": "web1"}])) == (True, "added", "unchanged", None)
    assert node.text(101) == f"name: web1\nrng0: {OURS}\n"


def test_a_pending_addition_is_taken_back(node: Node, run_module: Any) -> None:
    node.add(101, f"name: web1\n\n[PENDING]\nrng0: {OURS}\n", running=True)
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1", "state": "absent"}])
    assert outcome(result) == (True, "removed", "unchanged", None)
    assert node.text(101) == "name: web1\n"


def test_other_words_for_the_same_device(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\nrng0: max_bytes=0,/dev/random,period=5\n")
    devices = [{"guest": "web1", "source": "/dev/random", "max_bytes": "unlimited"}]
    assert outcome(run_module(proxmox_rng.main, devices=devices)) == (False, "unchanged", "not_applicable", None)
    assert node.writes == []


def test_only_ours_goes(node: Node, run_module: Any) -> None:
    node.add(101, "name: theirs\nrng0: source=/dev/urandom,max_bytes=1024,period=1000\n")
    result = run_module(proxmox_rng.main, devices=[{"guest": "theirs", "state": "absent"}], exclusive=False)
    assert outcome(result) == (False, "unchanged", "not_applicable", None)
    result = run_module(proxmox_rng.main, devices=[{"guest": "theirs", "max_bytes": 64}], exclusive=False)
    assert "there is room for 1 RNG only, and somebody else put" in outcome(result)[3]
    assert node.writes == []


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("lock: backup\n", {}, "it is locked (backup); try again when that is over"),
        (
            *("", {"source": "/dev/null"}),
            "source /dev/null: this hypervisor offers only /dev/urandom, /dev/random, /dev/hwrng",
        ),
        ("", {"source": "builtin"}, "source builtin: this hypervisor offers random"),
        ("", {"model": "virtio-transitional"}, "model virtio-transitional: this hypervisor offers virtio"),
        ("", {"driver": {"iommu": True}}, "driver iommu: this hypervisor offers none"),
    ],
)
def test_what_is_refused(text: str, options: dict[str, Any], error: str, node: Node, run_module: Any) -> None:
    node.add(101, f"name: web1\n{text}")
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1", **options}])
    assert outcome(result) == (False, "unchanged", "not_applicable", error)
    assert node.writes == []


def test_a_lock_without_work_is_no_error(node: Node, run_module: Any) -> None:
    node.add(101, f"lock: backup\nname: web1\nrng0: {OURS}\n")
    assert outcome(run_module(proxmox_rng.main, devices=[{"guest": "web1"}]))[3] is None


def test_templates_are_left_alone_and_containers_are_no_guests(node: Node, run_module: Any) -> None:
    node.add(101, "name: golden\ntemplate: 1\n")
    (node.root / "etc/pve/lxc").mkdir()
    (node.root / "etc/pve/lxc/102.conf").write_text("hostname: box\n")
    result = run_module(proxmox_rng.main, devices=[{"guest": "golden"}])
    assert outcome(result) == (False, "unchanged", "not_applicable", None)
    assert result["guests"][0]["reason"] == "left alone: it is a template, which never runs"
    result = run_module(proxmox_rng.main, devices=[{"guest": "box"}])
    assert outcome(result)[3] == "no guest of this name or UUID is here"
    assert [guest["number"] for guest in run_module(proxmox_rng_info.main)["guests"]] == ["101"]


def test_names_that_are_given_twice(node: Node, run_module: Any) -> None:
    for vmid in (101, 105):
        node.add(vmid, f"name: web1\nsmbios1: uuid={UUID[:-3]}{vmid}\n")
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1"}, {"guest": "105"}, {"guest": f"{UUID[:-3]}101"}])
    assert outcome(result)[3] == (
        "2 guests have this name; give the number or the UUID of the right one instead: 101, 105"
    )
    assert [outcome(result, number)[1] for number in (1, 2)] == ["added", "added"]
    assert [guest["name"] for guest in run_module(proxmox_rng_info.main)["guests"]] == ["web1 (101)", "web1 (105)"]
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1 (105)", "max_bytes": 64}])
    assert outcome(result)[1] == "replaced"
    result = run_module(proxmox_rng.main, devices=[{"guest": "101"}, {"guest": f"{UUID[:-3]}101".upper()}])
    assert [entry["error"] for entry in result["guests"]] == ["is given twice in devices, by name and by UUID"] * 2


def test_a_copied_guest_gets_an_identity_of_its_own(node: Node, run_module: Any) -> None:
    for vmid in (101, 102):
        node.add(vmid, f"name: web{vmid}\nsmbios1: uuid={UUID}\n")
    node.add(103, "name: bare\n")
    node.add(104, f"name: different\nsmbios1: uuid={UUID[:-3]}104\n")
    first = run_module(proxmox_rng_info.main)["guests"]
    assert len({guest["uuid"] for guest in first}) == 4
    assert [bool(guest["notes"]) for guest in first] == [False, False, True, True]
    assert [guest["uuid"] for guest in run_module(proxmox_rng_info.main)["guests"]] == [
        guest["uuid"] for guest in first
    ]
    node.site(cluster="main")
    moved = [guest["uuid"] for guest in run_module(proxmox_rng_info.main)["guests"]]
    assert [one == other["uuid"] for one, other in zip(moved, first, strict=True)] == [False, True, False, False]
    assert outcome(run_module(proxmox_rng.main, devices=[{"guest": moved[0]}]))[1] == "added"


def test_what_others_change_meanwhile_is_kept(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    node.site(faults={"meanwhile": {"101": [{"memory": "4096"}, {"cores": "2"}]}})
    assert outcome(run_module(proxmox_rng.main, devices=[{"guest": "web1"}])) == (
        *(True, "added", "not_applicable"),
        None,
    )
    assert node.text(101) == f"cores: 2\nmemory: 4096\nname: web1\nrng0: {OURS}\n"
    assert len(node.writes) == 3


def test_somebody_who_changes_everything_all_the_time(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    node.site(faults={"meanwhile": {"101": [{"memory": str(size)} for size in range(512, 600)]}})
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1"}])
    assert outcome(result) == (
        *(False, "unchanged", "not_applicable"),
        "somebody else keeps changing its configuration; run again",
    )
    assert "rng0" not in node.text(101)
    assert len(node.writes) == 3


def test_an_rng_that_somebody_else_adds_meanwhile_is_decided_again(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    node.site(faults={"meanwhile": {"101": [{"rng0": "/dev/urandom"}]}})
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1"}])
    assert outcome(result)[3] is None
    assert node.text(101) == "name: web1\nrng0: /dev/urandom\n", "it is what was wanted"
    assert len(node.writes) == 1


def test_a_lock_that_comes_meanwhile(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    node.site(faults={"meanwhile": {"101": [{"lock": "migrate"}]}})
    result = run_module(proxmox_rng.main, devices=[{"guest": "web1"}])
    assert outcome(result)[3] is not None
    assert "rng0" not in node.text(101)


def test_without_the_permission(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    rights = {"/": ["Sys.Audit"], "/vms/101": ["VM.Audit", "VM.Config.Options"]}
    node.site(user="ops@pve", rights=rights)
    error = outcome(run_module(proxmox_rng.main, devices=[{"guest": "web1"}]))[3]
    assert error.startswith("403 Permission check failed (/vms/101, VM.Config.HWType); needed are ")
    assert "VM.Config.HWType on the guest" in error.partition(";")[2]


def test_check_mode_writes_nothing(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n", running=True)
    node.add(102, f"name: web2\nrng0: {OURS}\n")
    devices = [{"guest": "web1"}, {"guest": "web2", "state": "absent"}]
    predicted = run_module(proxmox_rng.main, check=True, diff=True, devices=devices)
    assert node.writes == []
    done = run_module(proxmox_rng.main, diff=True, devices=devices)
    assert [guest["reason"] for guest in predicted["guests"]] == [guest["reason"] for guest in done["guests"]]
    assert [outcome(predicted, number) for number in (0, 1)] == [outcome(done, number) for number in (0, 1)]
    assert predicted["diff"] == done["diff"]


def test_info_changes_nothing(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    result = run_module(proxmox_rng_info.main, sources=["/dev/urandom", "/dev/null", "builtin"])
    assert result["host"]["hypervisor"] == {
        "kind": "proxmox",
        "version": "9.2.1",
        "rng_models": ["virtio"],
        "rng_backends": ["random"],
    }
    offer = "Proxmox VE offers only /dev/urandom, /dev/random, /dev/hwrng"
    assert result["host"]["sources"]["/dev/null"] == f"source /dev/null: {offer}"
    assert result["host"]["sources"]["builtin"] == f"source builtin: {offer}"
    assert result["guests"][0]["config"] == []
    assert node.writes == []


def test_a_guest_that_cannot_be_read_stops_nobody(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.add(101, "name: web1\n")
    node.add(102, "name: web2\n")
    session = backend.Backend().session()
    read = backend.Session._read

    def broken(self: backend.Session, vmid: int) -> Any:
        if vmid == 101:
            raise GuestError("no answer")
        return read(self, vmid)

    monkeypatch.setattr(backend.Session, "_read", broken)
    first, second = session.observe_all()
    assert (first.name, first.error, second.error) == ("web1", "cannot be read: no answer", "")


def test_a_guest_that_has_gone(node: Node) -> None:
    node.add(101, "name: web1\n")
    whole = backend.Backend()
    (guest,) = whole.session().observe_all()
    (node.configs / "101.conf").unlink()
    with pytest.raises(GuestError, match=r"^the guest is no longer on this node$"):
        whole.session().observe(guest)
    with pytest.raises(GuestError, match=r"^the guest is no longer on this node$"):
        backend.Backend().session().observe(guest)


@pytest.mark.parametrize("fault", [{"garbage": "no json"}, {"garbage": "{}"}, {"garbage": "[1]"}])
def test_answers_that_are_none(fault: dict[str, Any], node: Node) -> None:
    node.add(101, "name: web1\n")
    node.site(faults=fault)
    with pytest.raises(HypervisorError, match=r"the answer"):
        backend.Backend().session().observe_all()


def test_a_node_without_quorum(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n")
    node.site(faults={"quorum": False})
    error = outcome(run_module(proxmox_rng.main, devices=[{"guest": "web1"}]))[3]
    assert error.endswith("cluster not ready - no quorum?")


def test_many_guests_cost_few_calls(node: Node, run_module: Any) -> None:
    for vmid in range(101, 121):
        node.add(vmid, f"name: web{vmid}\nsmbios1: uuid={UUID[:-3]}{vmid}\n", running=vmid % 2 == 0)
    assert len(run_module(proxmox_rng_info.main)["guests"]) == 20
    assert len(node.calls()) == (2 if node.files else 22)


RESTART = [{"guest": "web1", "restart": True}]


@pytest.mark.parametrize("faults", [{}, {"stubborn": [101]}])
def test_a_restart_applies_what_is_pending(faults: dict[str, Any], node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n", running=True)
    node.add(102, "lock: suspended\nname: asleep\n")
    node.site(faults=faults)
    result = run_module(proxmox_rng.main, devices=RESTART, restart_force=True, restart_timeout=5)
    assert outcome(result) == (True, "added", "added", None)
    assert node.text(101) == f"name: web1\nrng0: {OURS}\n"
    assert [call[1].rpartition("/")[2] for call in node.writes] == ["config", "shutdown", "start"]
    assert node.writes[1][2:6] == ["--timeout", "5", "--forceStop", "1"]


@pytest.mark.parametrize(
    ("faults", "other", "why", "error"),
    [
        ({"paused": [101]}, "", "it is paused", None),
        ({"ha": [101]}, "", "it is managed by HA, which has to restart it", None),
        ({}, "lock: migrate\n", r"web2 (102) is locked (migrate)", None),
        (
            {"stubborn": [101]},
            "",
            "cannot hot-plug",
            "it was asked to shut down and runs on after 5 seconds (VM quit/powerdown failed - got timeout)",
        ),
    ],
    ids=["paused", "managed", "busy", "stubborn"],
)
def test_a_guest_that_is_not_restarted_runs_on(
    faults: dict[str, Any], other: str, why: str, error: str | None, node: Node, run_module: Any
) -> None:
    node.add(101, "name: web1\n", running=True)
    node.add(102, f"{other}name: web2\n")
    node.site(faults=faults)
    result = run_module(proxmox_rng.main, devices=RESTART, restart_timeout=5)
    assert outcome(result)[:3] == (True, "added", "needs_restart")
    assert bool(error) == bool(outcome(result)[3])
    assert str(outcome(result)[3]).startswith(str(error))
    assert why in result["guests"][0]["reason"]
    assert (node.root / "run/qemu-server/101.pid").exists()


def test_a_guest_that_does_not_start_again(node: Node, run_module: Any) -> None:
    node.add(101, "name: web1\n", running=True)
    node.site(faults={"no start": [101]})
    error = outcome(run_module(proxmox_rng.main, devices=RESTART))[3]
    assert error == "it was shut down and does not start again (start failed: QEMU exited with code 1)"


def test_a_guest_is_started_although_its_status_was_lost_once(
    node: Node, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.add(101, "name: web1\n", running=True)
    status, asked = backend.Session._status, []

    def lose(self: backend.Session, vmid: int) -> Any:
        asked.append(vmid)
        get = self.api.get
        if not (node.root / "run/qemu-server/101.pid").exists() and "lost" not in asked:
            asked.append("lost")

            def late(*dummy: str) -> Any:
                raise TimedOutError("no answer in time")

            monkeypatch.setattr(self.api, "get", late)
        try:
            return status(self, vmid)
        finally:
            monkeypatch.setattr(self.api, "get", get)

    monkeypatch.setattr(backend.Session, "_status", lose)
    result = run_module(proxmox_rng.main, devices=RESTART, restart_timeout=5)
    assert "lost" in asked
    assert outcome(result) == (True, "added", "added", None)
    assert (node.root / "run/qemu-server/101.pid").exists()
