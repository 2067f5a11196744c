# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ganeti as a hypervisor: the two modules over a master that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import ganeti as backend
from ansible_collections.fleet.rng.plugins.module_utils.codec import ganeti as codec
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, UnsafeSourceError
from ansible_collections.fleet.rng.plugins.modules import ganeti_rng, ganeti_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_ganeti import FakeMaster, outcome, runs_with

OWN = (
    "-object rng-random,id=ua-fleet-rng-source,filename=/dev/urandom "
    "-device virtio-rng-pci,rng=ua-fleet-rng-source,id=ua-fleet-rng,max-bytes=1024,period=1000"
)
THEIRS = "-object rng-random,id=rng0,filename=/dev/random -device virtio-rng-pci,rng=rng0"
VM = {"guest": "vm1"}
GONE = {"guest": "vm1", "state": "absent"}
UNLIMITED = {"guest": "vm1", "max_bytes": "unlimited"}


@pytest.mark.parametrize("version", ["3.0.2", "3.1.1"])
@pytest.mark.parametrize("before", [None, "", "-S", "-append a\\,b", "-foo bar,baz=\\\\ -S"])
def test_there_and_back(master: FakeMaster, run_module: Any, version: str, before: str | None) -> None:
    master.version = version
    master.add("vm1", before)
    result = run_module(ganeti_rng.main, devices=[VM])
    assert outcome(result) == (True, "added", "not_applicable", None)
    changed = master.own("vm1")["kvm_extra"]
    assert changed.startswith(before or "-object")
    assert outcome(run_module(ganeti_rng.main, devices=[VM])) == (False, "unchanged", "not_applicable", None)
    assert outcome(run_module(ganeti_rng.main, devices=[{**VM, "max_bytes": 2048}]))[1] == "replaced"
    assert len(master.writes) == 2, "one write replaces the old device"
    assert outcome(run_module(ganeti_rng.main, devices=[GONE], exclusive=False))[:2] == (True, "removed")
    assert master.own("vm1") == ({} if before is None else {"kvm_extra": before})
    assert outcome(run_module(ganeti_rng.main, devices=[GONE]))[:2] == (False, "unchanged")


def test_what_it_inherits_comes_along_and_is_given_back(master: FakeMaster, run_module: Any) -> None:
    master.cluster_parameters["kvm_extra"] = "-S -foo"
    master.add("vm1")
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert guest["notes"] == [
        "its kvm_extra comes from the cluster; one of its own takes a copy of that along and follows it no more"
    ]
    result = run_module(ganeti_rng.main, devices=[VM])
    assert "takes a copy of that along" in result["guests"][0]["reason"]
    assert master.own("vm1")["kvm_extra"].startswith("-S -foo -object rng-random,id=ua-fleet-rng-source.default.")
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert guest["notes"] == ["its kvm_extra has a copy of what comes from the cluster"]
    master.cluster_parameters["kvm_extra"] = "-S -bar"
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert guest["notes"] == ["its kvm_extra has a copy of what came from the cluster, which is something else by now"]
    run_module(ganeti_rng.main, devices=[GONE])
    assert master.own("vm1") == {}


def test_a_copy_that_somebody_changed_is_theirs(master: FakeMaster, run_module: Any) -> None:
    master.of_os = {"noop+default": {"kvm": {"kvm_extra": "-S"}}}
    master.add("vm1")
    run_module(ganeti_rng.main, devices=[VM])
    master.own("vm1")["kvm_extra"] += " -added"
    run_module(ganeti_rng.main, devices=[GONE])
    assert master.own("vm1") == {"kvm_extra": "-S -added"}
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert guest["notes"] == ["it has a kvm_extra of its own, which replaces that of its OS and cluster"]


def test_an_rng_of_the_cluster_gives_way_and_comes_back(master: FakeMaster, run_module: Any) -> None:
    master.cluster_parameters["kvm_extra"] = f"-S {THEIRS} -foo"
    master.add("vm1")
    assert outcome(run_module(ganeti_rng.main, devices=[VM])) == (True, "replaced", "not_applicable", None)
    assert codec.without_own(master.own("vm1")["kvm_extra"], False) == "-S -foo"
    assert outcome(run_module(ganeti_rng.main, devices=[VM]))[0] is False
    run_module(ganeti_rng.main, devices=[GONE], exclusive=False)
    assert master.own("vm1") == {}
    assert outcome(run_module(ganeti_rng.main, devices=[GONE])) == (True, "removed", "not_applicable", None)
    assert master.own("vm1") == {"kvm_extra": "-S -foo"}


def test_no_rng_at_all_where_the_cluster_has_one(master: FakeMaster, run_module: Any) -> None:
    master.cluster_parameters["kvm_extra"] = f"{THEIRS} -foo"
    master.add("vm1")
    run_module(ganeti_rng.main, devices=[VM])
    assert outcome(run_module(ganeti_rng.main, devices=[GONE])) == (True, "removed", "not_applicable", None)
    assert master.own("vm1") == {"kvm_extra": "-foo"}


def test_others_stay_where_that_is_asked_for(master: FakeMaster, run_module: Any) -> None:
    master.add("vm1", f"-S {THEIRS}")
    run_module(ganeti_rng.main, devices=[VM], exclusive=False)
    assert master.own("vm1") == {"kvm_extra": f"-S {THEIRS} {OWN}"}
    assert outcome(run_module(ganeti_rng.main, devices=[VM], exclusive=False))[0] is False
    run_module(ganeti_rng.main, devices=[GONE], exclusive=False)
    assert master.own("vm1") == {"kvm_extra": f"-S {THEIRS}"}


def test_a_running_instance_waits_for_a_hard_reboot(
    master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_with(monkeypatch, master.add("vm1", THEIRS), THEIRS)
    result = run_module(ganeti_rng.main, devices=[VM])
    assert outcome(result) == (True, "replaced", "needs_restart", None)
    assert "gnt-instance reboot --type=hard" in result["guests"][0]["reason"]
    assert "--type=soft keeps the old devices" in result["guests"][0]["reason"]
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert [found["source"] for found in guest["config"] + guest["live"]] == ["/dev/urandom", "/dev/random"]
    runs_with(monkeypatch, master.rows["vm1"], OWN)
    assert outcome(run_module(ganeti_rng.main, devices=[VM])) == (False, "unchanged", "unchanged", None)


def test_instances_that_cannot_be_seen(master: FakeMaster, run_module: Any) -> None:
    master.add("away", THEIRS, oper_state=True, pnode="node2.example.org")
    master.add("lost", THEIRS, oper_state=True)
    master.add("unknown", oper_state=None, pnode="node3.example.org")
    away, lost, unknown = run_module(ganeti_rng_info.main)["guests"]
    assert (away["running"], away["live"]) == (True, None)
    assert "it runs on node node2.example.org: what its QEMU has cannot be seen from the master" in away["notes"]
    assert "no QEMU process with its UUID is to be seen on this node" in lost["notes"]
    assert (unknown["running"], unknown["live"]) == (False, None)
    assert "node node3.example.org does not tell whether it runs" in unknown["notes"]


def test_one_that_is_not_kvm(master: FakeMaster, run_module: Any) -> None:
    master.add("vm1", hypervisor="xen-pvm")
    result = run_module(ganeti_rng.main, devices=[VM])
    assert outcome(result)[3] == "its hypervisor is xen-pvm, which has no virtio RNG"
    assert outcome(run_module(ganeti_rng.main, devices=[GONE]))[0] is False
    assert master.writes == []


def test_what_ganeti_could_not_start_is_an_error_of_its_own(master: FakeMaster, run_module: Any) -> None:
    master.version = "3.1.0"
    master.add("vm1", "-foo 'bar")
    master.add("vm2")
    result = run_module(ganeti_rng.main, devices=[VM, {"guest": "vm2"}])
    assert result["failed"]
    assert result["msg"].startswith("1 of 2 guests failed: vm1: its kvm_extra cannot be split into words")
    assert [guest["config"] for guest in result["guests"]] == ["unchanged", "added"]


def test_check_mode_makes_no_writing_call(master: FakeMaster, run_module: Any) -> None:
    master.read_only = True
    master.add("vm1", THEIRS)
    result = run_module(ganeti_rng.main, devices=[VM], check=True, diff=True)
    assert outcome(result) == (True, "replaced", "not_applicable", None)
    assert "/dev/random" in result["diff"][0]["before"]
    assert "/dev/urandom" in result["diff"][0]["after"]
    with pytest.raises(AssertionError, match="a writing call"):  # what makes the above mean something
        master.modify("vm1", "kvm_extra=")


def test_somebody_else_changes_other_words_meanwhile(
    master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.add("vm1", "-S")
    before = backend.Session._unchanged

    def change(session: Any, guest: Any) -> Any:
        master.own("vm1")["kvm_extra"] = "-S -new"
        return before(session, guest)

    monkeypatch.setattr(backend.Session, "_unchanged", change)
    assert outcome(run_module(ganeti_rng.main, devices=[VM]))[:2] == (True, "added")
    assert master.own("vm1") == {"kvm_extra": f"-S -new {OWN}"}


def test_somebody_else_changes_the_rng_meanwhile(
    master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.add("vm1", "-S")
    before, times = backend.Session._unchanged, []

    def change(session: Any, guest: Any) -> Any:
        if not times:
            master.own("vm1")["kvm_extra"] = f"-S {THEIRS}"
        times.append(guest)
        return before(session, guest)

    monkeypatch.setattr(backend.Session, "_unchanged", change)
    result = run_module(ganeti_rng.main, devices=[VM])
    assert outcome(result)[3] == "somebody else changed it meanwhile; run again"
    assert THEIRS in master.own("vm1")["kvm_extra"], "what came meanwhile is not ours to remove"


def test_an_overwritten_change_is_made_again(master: FakeMaster, run_module: Any) -> None:
    master.add("vm1", "-S")
    lost = []

    def overwrite(number: int) -> Any:
        if not lost:
            lost.append(number)
            master.own("vm1")["kvm_extra"] = "-S -late"
        return [["success", []]]

    master.job = overwrite
    assert outcome(run_module(ganeti_rng.main, devices=[VM]))[:2] == (True, "added")
    assert master.own("vm1") == {"kvm_extra": f"-S -late {OWN}"}


def test_a_job_that_fails(master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    master.add("vm1")
    master.job = lambda number: [["error", [["OpPrereqError", ["no \x1b[31m such thing", "wrong_input"]]]]]
    monkeypatch.setattr(FakeMaster, "modify", lambda master, name, parameters: "JobID: 9")
    result = run_module(ganeti_rng.main, devices=[VM])
    why = "Ganeti's job ended as error: OpPrereqError, no \\x1b[31m such thing, wrong_input"
    assert outcome(result) == (False, "unchanged", "not_applicable", why)


def test_a_job_that_waits_for_ever_is_cancelled(
    master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.add("vm1")
    master.job = lambda number: [["waiting", []]]
    monkeypatch.setattr(backend.Backend.__init__, "__defaults__", (None, True, 0.0))
    monkeypatch.setattr(FakeMaster, "modify", lambda master, name, parameters: "JobID: 9")
    result = run_module(ganeti_rng.main, devices=[VM])
    assert (
        "Ganeti's job 9 has not ended within 0 seconds, since other jobs have the instance, and was cancelled"
        in (outcome(result)[3])
    )
    assert master.writes == [("cancel", 9)]
    monkeypatch.setattr(FakeMaster, "cancel", lambda master, number: [False, "Job 9 is running"])
    result = run_module(ganeti_rng.main, devices=[VM])
    assert outcome(result)[3].endswith("has not ended within 0 seconds; it goes on")


def test_a_word_that_ganeti_takes_for_something_else(master: FakeMaster, run_module: Any) -> None:
    master.add("vm1", f"Default {OWN}")
    result = run_module(ganeti_rng.main, devices=[GONE])
    assert outcome(result)[3] == "its kvm_extra would be the word Default, which Ganeti takes for something else"
    assert master.writes == []


@pytest.fixture
def fork(master: FakeMaster) -> FakeMaster:
    """A cluster that knows virtio_rng."""
    master.cluster_parameters["virtio_rng"] = "off"
    return master


def test_the_parameter_where_it_can_say_it(fork: FakeMaster, run_module: Any) -> None:
    fork.add("vm1", "-S")
    assert outcome(run_module(ganeti_rng.main, devices=[UNLIMITED])) == (True, "added", "not_applicable", None)
    assert fork.own("vm1") == {"kvm_extra": "-S", "virtio_rng": "urandom"}
    assert outcome(run_module(ganeti_rng.main, devices=[UNLIMITED]))[0] is False
    assert outcome(run_module(ganeti_rng.main, devices=[{**UNLIMITED, "source": "/dev/random"}]))[1] == "replaced"
    assert fork.own("vm1")["virtio_rng"] == "random"
    assert len(fork.writes) == 2
    run_module(ganeti_rng.main, devices=[GONE], exclusive=False)
    assert fork.own("vm1") == {"kvm_extra": "-S"}


def test_words_of_ours_where_it_cannot(fork: FakeMaster, run_module: Any) -> None:
    fork.add("vm1")
    run_module(ganeti_rng.main, devices=[UNLIMITED])
    assert outcome(run_module(ganeti_rng.main, devices=[VM]))[:2] == (True, "replaced")
    assert list(fork.own("vm1")) == ["kvm_extra"]
    assert outcome(run_module(ganeti_rng.main, devices=[UNLIMITED]))[:2] == (True, "replaced")
    assert fork.own("vm1") == {"virtio_rng": "urandom"}
    assert len(fork.writes) == 3


def test_a_parameter_of_the_cluster(fork: FakeMaster, run_module: Any) -> None:
    fork.cluster_parameters["virtio_rng"] = "random"
    fork.add("vm1")
    assert outcome(run_module(ganeti_rng.main, devices=[VM])) == (True, "replaced", "not_applicable", None)
    assert fork.own("vm1")["virtio_rng"] == "off"
    fork.add("vm2")
    result = run_module(ganeti_rng.main, devices=[{"guest": "vm2", "state": "absent"}], exclusive=False)
    assert outcome(result)[0] is False
    result = run_module(ganeti_rng.main, devices=[{"guest": "vm2", "state": "absent"}])
    assert outcome(result)[:2] == (True, "removed")
    assert fork.own("vm2") == {"virtio_rng": "off"}


def test_a_value_that_nobody_knows(fork: FakeMaster, run_module: Any) -> None:
    fork.add("vm1", None, custom_hvparams={"virtio_rng": "quantum"})
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert guest["config"][0]["unknown"] == "virtio_rng=quantum"


def test_what_cannot_be_said_or_served(master: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, dummy_user: Any) -> None:
        raise UnsafeSourceError(f"source {source}: no")

    master.add("vm1")
    found = backend.Backend()
    names = ["/dev/urandom", "/dev/a b", "egd+tcp://h:1", "builtin"]
    told = found.sources(found.session(), names)
    assert [name for name, why in told.items() if why is None] == ["/dev/urandom", "builtin"]
    assert "without spaces, quotes and backslashes" in str(told["/dev/a b"])
    monkeypatch.setattr(backend, "check_source", refuse)
    assert found.sources(found.session(), ["/dev/urandom"]) == {"/dev/urandom": "source /dev/urandom: no"}


def test_the_cluster_is_described(master: FakeMaster, run_module: Any) -> None:
    master.add("vm1")
    result = run_module(ganeti_rng_info.main)
    assert result["host"]["hypervisor"] == {
        "kind": "ganeti",
        "version": "3.0.2",
        "rng_models": ["virtio", "virtio-transitional", "virtio-non-transitional"],
        "rng_backends": ["random", "builtin"],
    }
    assert (result["guests"][0]["arch"], result["guests"][0]["machine"]) == ("x86_64", "pc")


def test_an_instance_that_has_gone(master: FakeMaster) -> None:
    master.add("vm1")
    session = backend.Backend().session()
    (guest,) = session.observe_all()
    master.rows.clear()
    with pytest.raises(GuestError, match="no longer in this cluster"):
        session.observe(guest)
