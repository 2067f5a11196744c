# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner when things go wrong: bad guests and sources, a daemon that dies or hangs, others who change guests."""

from __future__ import annotations

import itertools
import threading
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.module import apply
from ansible_collections.fleet.rng.plugins.modules import libvirt_rng
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_libvirt import libvirtError

OLD = (
    "<rng model='virtio'><rate bytes='2048' period='1000'/><backend model='random'>/dev/urandom</backend>"
    "<alias name='ua-fleet-rng'/></rng>"
)
ONE = [{"guest": "web1"}]
STATUSES = ("changed", "config", "live", "error")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply.time, "sleep", lambda seconds: None)


def outcome(result: dict[str, Any], number: int = 0) -> tuple[Any, ...]:
    return tuple(result["guests"][number][name] for name in STATUSES)


def rates(domain: Any, layer: str) -> list[str]:
    return [rate.get("bytes", "") for found in domain.layers[layer] for rate in found.iterfind("rate")]


def test_one_bad_guest_never_stops_the_others(hypervisor: Any, run_module: Any) -> None:
    for number in range(20):
        hypervisor.add(f"vm{number:02}", "", "")
    hypervisor.add("isa", "", "", machine="isapc")
    devices: list[dict[str, Any]] = [{"guest": f"vm{number:02}"} for number in range(20)]
    devices[3]["max_bytes"] = 0
    devices[5]["source"] = "/dev/null"
    result = run_module(libvirt_rng.main, devices=[*devices, {"guest": "gone"}, {"guest": "isa"}])
    assert result["failed"]
    assert result["changed"]
    errors = {guest["guest"]: guest["error"] for guest in result["guests"] if guest["error"]}
    assert sorted(errors) == ["gone", "isa", "vm03", "vm05"]
    assert result["msg"] == "4 of 22 guests failed: " + "; ".join(
        f"{name}: {errors[name]}" for name in ("vm03", "vm05", "gone", "isa")
    )
    assert errors["gone"] == "no guest of this name or UUID is here"
    assert errors["vm05"] == "source /dev/null: device 1:3 is no source of randomness"
    assert errors["isa"] == "machine isapc has no bus for a virtio RNG that libvirt can use"
    assert [guest["config"] for guest in result["guests"]].count("added") == 18


def test_many_errors_are_counted_and_ten_are_named(hypervisor: Any, run_module: Any) -> None:
    result = run_module(libvirt_rng.main, devices=[{"guest": f"vm{number}"} for number in range(30)])
    assert result["msg"].startswith("30 of 30 guests failed: vm0: no guest")
    assert result["msg"].endswith("vm9: no guest of this name or UUID is here; and 20 more")
    assert hypervisor.writes == []


def test_a_guest_that_is_given_twice_alike_is_one_guest(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", "")
    result = run_module(libvirt_rng.main, devices=ONE * 2)
    assert [guest["config"] for guest in result["guests"]] == ["added"]


def test_nobody_answers(hypervisor: Any, run_module: Any) -> None:
    hypervisor.down = 1
    result = run_module(libvirt_rng.main, devices=ONE)
    assert result["failed"]
    assert result["guests"] == []
    assert result["msg"].startswith("cannot open qemu:///system for writing: Failed to connect socket")


def test_an_unreadable_guest_is_left_alone(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", "", "")
    hypervisor.add("web2", "", "")

    def too_long(domain: Any, call: str, *dummy: str) -> None:
        if domain.name == "web1" and call == "XMLDesc":
            raise libvirtError(39, "\x1b[2J message too long")

    hypervisor.hook = too_long
    result = run_module(libvirt_rng.main, devices=[*ONE, {"guest": "web2"}])
    assert result["guests"][0]["error"] == r"cannot be read: libvirt: \x1b[2J message too long"
    assert result["guests"][1]["error"] is None
    assert {name for name, *dummy in hypervisor.writes} == {"web2"}


@pytest.mark.parametrize("moment", range(1, 12))
def test_the_daemon_is_killed_at_any_moment(moment: int, hypervisor: Any, run_module: Any) -> None:
    """After the preparation: the run reads again and goes on, and nothing is left half done."""
    domain = hypervisor.add("web1", OLD, OLD)
    calls = itertools.count(-1)  # the two documents that the preparation reads

    def kill(*dummy: str) -> None:
        if next(calls) == moment:
            hypervisor.kill()

    hypervisor.hook = kill
    result = run_module(libvirt_rng.main, devices=ONE)
    assert outcome(result) == (True, "replaced", "replaced", None)
    assert rates(domain, "config") == rates(domain, "live") == ["1024"]
    assert len(hypervisor.writes) == len(set(hypervisor.writes)) == 4, "what was done already is not tried again"
    hypervisor.hook = lambda domain, call, layer: None
    hypervisor.writable = False
    assert not run_module(libvirt_rng.main, devices=ONE)["changed"]


def test_the_daemon_dies_for_good(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", OLD, OLD)

    def kill(dummy: Any, call: str, *dummy_rest: str) -> None:
        if call == "attach":
            hypervisor.kill()
            hypervisor.down = 100

    hypervisor.hook = kill
    result = run_module(libvirt_rng.main, devices=ONE)
    assert result["failed"]
    assert result["guests"][0]["error"].startswith("cannot open qemu:///system for writing")


def test_a_hung_guest_has_an_unknown_outcome_and_its_config_waits(hypervisor: Any, run_module: Any) -> None:
    hung = hypervisor.add("web1", OLD, OLD)
    hypervisor.add("web2", OLD, OLD)

    def hang(domain: Any, call: str, layer: str) -> None:
        if domain is hung and call != "XMLDesc" and layer == "live":
            raise libvirtError(68, "Timed out during operation: cannot acquire state change lock")

    hypervisor.hook = hang
    result = run_module(libvirt_rng.main, devices=[*ONE, {"guest": "web2"}])
    assert outcome(result)[:3] == (False, "unchanged", "unchanged")
    assert outcome(result)[3].startswith("QEMU did not answer, the outcome is unknown; run again later")
    assert outcome(result, 1) == (True, "replaced", "replaced", None)
    assert rates(hung, "config") == ["2048"]


def test_no_answer_at_all(hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hypervisor.add("web1", OLD, None)
    release = threading.Event()
    monkeypatch.setattr(apply, "STALLED", 0.2)
    hypervisor.hook = lambda domain, call, layer: release.wait(5) if call == "attach" else None
    result = run_module(libvirt_rng.main, devices=ONE, wait=0)
    release.set()
    for worker in [thread for thread in threading.enumerate() if "_work" in thread.name]:
        worker.join(5)  # it ends what it was at, which a module would not wait for
    assert outcome(result)[3] == "no answer from the hypervisor within 0.2 seconds, the outcome is unknown"


def test_as_many_hung_guests_as_workers_do_not_keep_the_next_one_waiting(
    hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = [hypervisor.add(f"hung{number}", OLD, None) for number in range(apply.WORKERS)]
    hypervisor.add("web1", OLD, None)
    release = threading.Event()
    monkeypatch.setattr(apply, "STALLED", 3.0)
    hypervisor.hook = lambda domain, call, layer: (
        release.wait(60) if call == "attach" and any(domain is guest for guest in hung) else None
    )
    devices = [{"guest": f"hung{number}"} for number in range(apply.WORKERS)] + [{"guest": "web1"}]
    result = run_module(libvirt_rng.main, devices=devices, wait=0)
    release.set()
    for worker in [thread for thread in threading.enumerate() if "_work" in thread.name]:
        worker.join(5)
    assert all(guest["error"].startswith("no answer from the hypervisor") for guest in result["guests"][:-1])
    assert outcome(result, apply.WORKERS) == (True, "replaced", "not_applicable", None)


def test_a_long_wait_for_the_guest_is_no_stall(
    hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypervisor.add("web1", OLD, OLD, releases=False)
    monkeypatch.setattr(apply, "STALLED", 3.0)
    result = run_module(libvirt_rng.main, devices=ONE, wait=4)
    assert outcome(result) == (True, "replaced", "pending_removal", None)


def test_a_guest_that_keeps_the_old_device(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, OLD, releases=False)
    result = run_module(libvirt_rng.main, devices=ONE, wait=0)
    assert outcome(result) == (True, "replaced", "pending_removal", None)
    assert result["guests"][0]["reason"].endswith("the guest has not released the old one yet, a later run finishes it")
    assert rates(domain, "live") == ["2048", "1024"]

    again = run_module(libvirt_rng.main, devices=ONE, wait=0)
    assert outcome(again) == (False, "unchanged", "pending_removal", None)

    domain.releases = True
    assert outcome(run_module(libvirt_rng.main, devices=ONE, wait=0)) == (True, "unchanged", "replaced", None)
    assert rates(domain, "live") == ["1024"]


def test_a_removal_that_libvirt_will_not_even_ask_for(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", OLD, OLD)

    def refuse(dummy: Any, call: str, layer: str) -> None:
        if (call, layer) == ("detach", "live"):
            raise libvirtError(55, "device ua-fleet-rng is already in the process of unplug")

    hypervisor.hook = refuse
    result = run_module(libvirt_rng.main, devices=ONE, wait=0)
    assert outcome(result) == (True, "replaced", "pending_removal", None)
    assert result["guests"][0]["reason"].endswith("(libvirt: device ua-fleet-rng is already in the process of unplug)")


def test_no_free_port(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", "", "", ports=0)
    result = run_module(libvirt_rng.main, devices=ONE)
    assert outcome(result) == (True, "added", "needs_restart", None)
    assert "live: no free PCIe port (pcie-root-port)" in result["guests"][0]["reason"]


@pytest.mark.parametrize("layer", ["config", "live"])
def test_a_guest_is_in_its_old_or_its_new_state_when_one_layer_cannot_be_written(
    layer: str, hypervisor: Any, run_module: Any
) -> None:
    domain = hypervisor.add("web1", OLD, OLD)
    before = (domain.document("config"), domain.document("live"))

    def full(dummy: Any, call: str, where: str) -> None:
        if (call, where) == ("attach", layer):
            raise libvirtError(38, "cannot write config file: No space left on device")

    hypervisor.hook = full
    result = run_module(libvirt_rng.main, diff=True, devices=ONE)
    assert outcome(result) == (
        False,
        "unchanged",
        "unchanged",
        "libvirt: cannot write config file: No space left on device",
    )
    assert (domain.document("config"), domain.document("live")) == before
    assert result["diff"] == []


def at(moment: tuple[str, str], change: Any) -> Any:
    """A hook that changes something once, just before this call."""
    done: list[str] = []

    def hook(domain: Any, call: str, layer: str) -> None:
        if (call, layer) == moment and not done:
            done.append(call)
            change(domain)

    return hook


def test_a_guest_that_is_started_meanwhile(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, None)
    hypervisor.hook = at(("attach", "config"), lambda domain: domain.start())
    result = run_module(libvirt_rng.main, devices=ONE)
    assert outcome(result) == (True, "replaced", "added", None)
    assert rates(domain, "config") == rates(domain, "live") == ["1024"]


def test_a_guest_that_is_started_meanwhile_and_is_to_have_none(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, None)
    hypervisor.hook = at(("detach", "config"), lambda domain: domain.start())
    result = run_module(libvirt_rng.main, devices=[{"guest": "web1", "state": "absent"}])
    assert outcome(result) == (True, "removed", "unchanged", None)
    assert rates(domain, "config") == rates(domain, "live") == []


def test_a_guest_that_is_started_meanwhile_and_keeps_what_others_gave_it(hypervisor: Any, run_module: Any) -> None:
    theirs = "<rng model='virtio'><rate bytes='7'/><backend model='builtin'/></rng>"
    domain = hypervisor.add("web1", theirs + OLD, None)
    hypervisor.hook = at(("detach", "config"), lambda domain: domain.start())
    result = run_module(libvirt_rng.main, devices=[{"guest": "web1", "state": "absent"}], exclusive=False)
    assert outcome(result) == (True, "removed", "unchanged", None)
    assert rates(domain, "config") == rates(domain, "live") == ["7"]


def test_a_guest_that_is_shut_off_meanwhile(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, OLD)
    hypervisor.hook = at(("attach", "live"), lambda domain: domain.stop())
    result = run_module(libvirt_rng.main, devices=ONE)
    assert outcome(result) == (True, "replaced", "not_applicable", None)
    assert rates(domain, "config") == ["1024"]


@pytest.mark.parametrize("moment", [("attach", "live"), ("attach", "config"), ("detach", "live")])
def test_a_guest_that_vanishes_meanwhile(moment: tuple[str, str], hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", OLD, OLD)
    hypervisor.add("web2", OLD, OLD)
    hypervisor.hook = at(moment, lambda domain: hypervisor.all.pop(domain.id))
    result = run_module(libvirt_rng.main, devices=[*ONE, {"guest": "web2"}])
    errors = [guest["error"] for guest in result["guests"]]
    assert sorted(errors, key=str) == [None, "the guest is no longer there"]


def test_another_run_attaches_the_same_alias_first(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", "", "")
    new = OLD.replace("2048", "1024")

    def other(domain: Any) -> None:
        for layer in ("config", "live"):
            domain.insert(layer, ET.fromstring(new))

    hypervisor.hook = at(("attach", "live"), other)
    result = run_module(libvirt_rng.main, devices=ONE)
    assert result["guests"][0]["error"] is None
    assert rates(domain, "config") == rates(domain, "live") == ["1024"]


def test_another_run_that_was_cut_off_left_the_old_device(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, OLD)
    new = OLD.replace("2048", "1024").replace("ua-fleet-rng", "ua-fleet-rng-2")

    def other(domain: Any) -> None:
        for layer in ("config", "live"):
            domain.insert(layer, ET.fromstring(new))
        domain.layers["config"].pop(0)

    hypervisor.hook = at(("attach", "live"), other)
    result = run_module(libvirt_rng.main, devices=ONE)
    assert outcome(result) == (True, "replaced", "replaced", None)
    assert rates(domain, "config") == rates(domain, "live") == ["1024"]


def test_somebody_who_undoes_everything(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", "", None)

    def undo(domain: Any, call: str, *dummy: str) -> None:
        if call == "XMLDesc":
            domain.layers["config"].clear()

    hypervisor.hook = undo
    result = run_module(libvirt_rng.main, devices=ONE)
    assert result["guests"][0]["error"] == "somebody else changed it meanwhile; run again"


@pytest.mark.parametrize("wait", [-1, 601])
def test_the_wait_has_bounds(wait: int, hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", OLD, None)
    result = run_module(libvirt_rng.main, devices=ONE, wait=wait)
    assert result["msg"] == f"wait: {wait} is not valid; allowed: seconds, an integer from 0 to 600"
    assert hypervisor.writes == []


def test_a_uuid_is_known_in_upper_case_and_a_name_is_not(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, None)
    result = run_module(libvirt_rng.main, devices=[{"guest": domain.id.upper()}, {"guest": "WEB1"}])
    assert outcome(result) == (True, "replaced", "not_applicable", None)
    assert outcome(result, 1)[3] == "no guest of this name or UUID is here"


def test_two_runs_that_want_different_rates_never_leave_the_guest_without(hypervisor: Any, run_module: Any) -> None:
    """The other run adds its device, and takes the old one away, after this one has looked."""
    domain = hypervisor.add("web1", OLD, None)
    theirs = OLD.replace("2048", "4096").replace("ua-fleet-rng", "ua-fleet-rng-9")

    def other(meanwhile: Any) -> None:
        meanwhile.insert("config", ET.fromstring(theirs))
        meanwhile.layers["config"].pop(0)

    hypervisor.hook = at(("attach", "config"), other)
    result = run_module(libvirt_rng.main, devices=ONE)
    assert result["guests"][0]["error"] == "somebody else changed it meanwhile; run again"
    assert sorted(rates(domain, "config")) == ["1024", "4096"]
    hypervisor.hook = lambda *dummies: None
    assert outcome(run_module(libvirt_rng.main, devices=ONE)) == (True, "replaced", "not_applicable", None)
    assert rates(domain, "config") == ["1024"]
