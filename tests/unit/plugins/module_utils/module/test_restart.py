# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts of guests that wait for one: who may have it, when, in which order, and what stops the others."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import libvirt as backend
from ansible_collections.fleet.rng.plugins.module_utils.module import restart
from ansible_collections.fleet.rng.plugins.modules import libvirt_rng
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_libvirt import libvirtError

OLD = "<rng model='virtio'><rate bytes='2048' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
NEW = OLD.replace("2048", "1024")
RESTART = ["shutdown", "create"]


def one(name: str = "web1", **more: Any) -> dict[str, Any]:
    return {"guest": name, "restart": True, **more}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(backend, "_SHUTDOWN_POLL", 0.01)


def calls(hypervisor: Any, name: str = "web1") -> list[str]:
    """What was done to a guest beside its devices."""
    return [call for guest, call, dummy in hypervisor.writes if guest == name and call not in ("attach", "detach")]


def rates(domain: Any, layer: str) -> list[str]:
    return [rate.get("bytes", "") for found in domain.layers[layer] for rate in found.iterfind("rate")]


def test_a_guest_that_waits_is_shut_down_and_started(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, OLD)
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    (guest,) = result["guests"]
    assert (guest["config"], guest["live"], guest["changed"], guest["error"]) == ("replaced", "replaced", True, None)
    assert guest["reason"].endswith("; it was restarted for that")
    assert rates(domain, "live") == ["1024"]
    assert calls(hypervisor) == RESTART
    assert not run_module(libvirt_rng.main, devices=[one()], live=False)["changed"]
    assert calls(hypervisor) == RESTART


def test_a_guest_that_has_waited_since_an_earlier_run(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", NEW, "", ports=0)
    result = run_module(libvirt_rng.main, devices=[one()])
    assert (result["guests"][0]["live"], result["changed"]) == ("added", True)
    assert calls(hypervisor) == RESTART


def test_a_guest_loses_its_rng_by_a_restart(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", OLD, OLD)
    result = run_module(libvirt_rng.main, devices=[one(state="absent")], live=False)
    assert result["guests"][0]["live"] == "removed"
    assert rates(domain, "live") == []


@pytest.mark.parametrize(
    ("device", "options"), [({"guest": "web1"}, {"live": False}), (one(), {"live": True}), (one("off"), {})]
)
def test_nobody_is_restarted_without_leave_or_need(
    device: dict[str, Any], options: dict[str, Any], hypervisor: Any, run_module: Any
) -> None:
    hypervisor.add("web1", OLD, OLD)
    hypervisor.add("off", OLD)
    assert run_module(libvirt_rng.main, devices=[device], **options)["changed"]
    assert calls(hypervisor) == calls(hypervisor, "off") == []


def test_check_mode_restarts_nobody_and_says_that_it_would(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", NEW, OLD)
    hypervisor.writable = False
    result = run_module(libvirt_rng.main, devices=[one()], live=False, check=True)
    assert (result["changed"], result["guests"][0]["live"]) == (True, "needs_restart")
    assert result["guests"][0]["reason"].endswith("; it would be restarted for that")


def test_a_guest_that_ignores_it_is_left_running_and_the_others_wait(hypervisor: Any, run_module: Any) -> None:
    domains = [hypervisor.add(name, NEW, OLD) for name in ("web1", "web2")]
    domains[0].obeys = False
    result = run_module(libvirt_rng.main, devices=[one(), one("web2")], live=False, restart_timeout=1)
    first, second = result["guests"]
    assert first["error"].startswith("it was asked to shut down and runs on after 1 seconds")
    assert (first["live"], first["changed"]) == ("needs_restart", False)
    assert (second["live"], second["changed"], second["error"]) == ("needs_restart", False, None)
    assert second["reason"].endswith(
        "not restarted: the restart of web1 failed, and the others wait until somebody has looked at it"
    )
    assert rates(domains[0], "live") == ["2048"]
    assert calls(hypervisor, "web2") == []


def test_force_comes_after_the_time_is_up(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", NEW, OLD).obeys = False
    result = run_module(libvirt_rng.main, devices=[one()], live=False, restart_timeout=1, restart_force=True)
    assert result["guests"][0]["live"] == "replaced"
    assert calls(hypervisor) == ["shutdown", "destroy", "create"]


def test_a_guest_that_does_not_start_again(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", NEW, OLD)
    hypervisor.add("web2", NEW, OLD)

    def refuse(dummy_domain: Any, call: str, *dummy: str) -> None:
        if call == "create":
            raise libvirtError(1, "internal error: process exited while connecting to monitor")

    hypervisor.hook = refuse
    result = run_module(libvirt_rng.main, devices=[one(), one("web2")], live=False)
    first, second = result["guests"]
    assert first["error"].startswith("it was shut down and does not start again: libvirt: internal error")
    assert (first["live"], first["changed"]) == ("not_applicable", True)
    assert second["live"] == "needs_restart"
    assert calls(hypervisor, "web2") == []


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"paused": True}, "it is paused"),
        ({"job": 3}, "web1 is being migrated, backed up, saved or dumped"),
    ],
)
def test_guests_that_are_left_running(facts: dict[str, Any], why: str, hypervisor: Any, run_module: Any) -> None:
    vars(hypervisor.add("web1", NEW, OLD)).update(facts)
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    assert result["failed"] is False
    assert result["guests"][0]["live"] == "needs_restart"
    assert result["guests"][0]["reason"].endswith(f"; not restarted: {why}")
    assert calls(hypervisor) == []


def test_another_guest_in_a_migration_keeps_all_of_the_host_running(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", NEW, OLD)
    hypervisor.add("moving", "", "").job = 2
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    assert result["guests"][0]["reason"].endswith("not restarted: moving is being migrated, backed up, saved or dumped")


def test_a_source_that_has_become_unsafe_keeps_its_guest_running(hypervisor: Any, run_module: Any) -> None:
    bad = NEW.replace("/dev/urandom", "/dev/null")
    hypervisor.add("web1", bad, OLD)
    result = run_module(libvirt_rng.main, devices=[one(source="/dev/null")], live=False)
    assert "it would not start again: source /dev/null" in result["guests"][0]["reason"]
    assert calls(hypervisor) == []


def test_the_daemon_dies_while_the_guest_is_down(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", NEW, OLD)
    died: list[str] = []

    def kill(dummy_domain: Any, call: str, *dummy: str) -> None:
        if call == "create" and not died:
            died.append(call)
            hypervisor.kill()

    hypervisor.hook = kill
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    assert (result["guests"][0]["live"], result["guests"][0]["error"]) == ("replaced", None)
    assert died == ["create"]


@pytest.mark.parametrize("serial", [1, 2, 5])
def test_so_many_at_once(serial: int, hypervisor: Any, run_module: Any) -> None:
    names = [f"vm{number}" for number in range(5)]
    for name in names:
        hypervisor.add(name, NEW, OLD)
    lock, down, most = threading.Lock(), set(), [0]
    meeting = threading.Barrier(serial)

    def watch(domain: Any, call: str, *dummy: str) -> None:
        with lock:
            if call == "shutdown":
                down.add(domain.name)
                most[0] = max(most[0], len(down))
        if call == "create":
            if serial > 1 and domain.name in names[: 5 // serial * serial]:
                meeting.wait(30)  # comes to nothing unless so many are down together
            with lock:
                down.discard(domain.name)

    hypervisor.hook = watch
    result = run_module(libvirt_rng.main, devices=[one(name) for name in names], live=False, restart_serial=serial)
    assert [guest["live"] for guest in result["guests"]] == ["replaced"] * 5
    assert most == [serial]


def test_no_answer_at_all(hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hypervisor.add("web1", NEW, OLD)
    hypervisor.add("web2", NEW, OLD)
    release = threading.Event()
    monkeypatch.setattr(restart, "STALLED", -0.3)
    hypervisor.hook = lambda domain, call, layer: release.wait(30) if call == "shutdown" else None
    before = set(threading.enumerate())
    try:
        result = run_module(libvirt_rng.main, devices=[one(), one("web2")], live=False, restart_timeout=1)
    finally:
        release.set()
        for left_behind in set(threading.enumerate()) - before:
            left_behind.join(30)
    assert result["guests"][0]["error"] == "no answer from the hypervisor during its restart, the outcome is unknown"
    assert "the restart of web1 failed" in result["guests"][1]["reason"]


def test_nobody_is_given_up_whose_start_may_still_take_its_time(
    hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shutdown has its seconds; a lost request before it, the look after it and the start have a limit each."""
    hypervisor.add("web1", NEW, OLD)
    waited: list[float] = []

    class Thread(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            waited.append(timeout or 0)
            super().join(timeout)

    monkeypatch.setattr(restart.threading, "Thread", Thread)
    run_module(libvirt_rng.main, devices=[one()], live=False, restart_timeout=300)
    assert 300 + 2 * restart.STALLED < max(waited) <= 300 + 3 * restart.STALLED


def test_a_connection_may_be_away_for_a_while(
    hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a service is restarted: a guest that was shut down has to be found and started after that."""
    hypervisor.add("web1", NEW, OLD)
    slept: list[float] = []
    monkeypatch.setattr(restart.time, "sleep", slept.append)

    def kill(dummy_domain: Any, call: str, *dummy: str) -> None:
        if call == "create" and sum(slept) < 10:
            hypervisor.kill()

    hypervisor.hook = kill
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    assert (result["guests"][0]["live"], result["guests"][0]["error"]) == ("replaced", None)


def test_a_guest_is_restarted_once_although_the_look_after_it_was_lost(
    hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypervisor.add("web1", NEW, OLD)
    look, lost = restart.Convergence.look, []

    def lose(self: Any, session: Any) -> None:
        if self.restarted and not lost:
            lost.append(self.name)
            raise restart.HypervisorError("lost")
        look(self, session)

    monkeypatch.setattr(restart.Convergence, "look", lose)
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    assert (result["guests"][0]["live"], result["guests"][0]["error"], lost) == ("replaced", None, ["web1"])
    assert calls(hypervisor).count("shutdown") == 1


def test_a_kind_that_cannot_restart_says_so(hypervisor: Any, run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hypervisor.add("web1", NEW, OLD)
    able = backend.Capabilities(max_bytes=2**32 - 1)
    monkeypatch.setattr(backend.Backend, "CAPABILITIES", able)
    result = run_module(libvirt_rng.main, devices=[one()], live=False)
    assert result["guests"][0]["reason"].endswith(f"; not restarted: {restart.CANNOT}")
    assert calls(hypervisor) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restart_serial": 0}, "restart_serial: 0 is not valid; allowed: guests, an integer from 1 to 100"),
        ({"restart_timeout": 3601}, "restart_timeout: 3601 is not valid; allowed: seconds, an integer from 1 to 3600"),
    ],
)
def test_options_out_of_bounds(options: dict[str, Any], message: str, hypervisor: Any, run_module: Any) -> None:
    result = run_module(libvirt_rng.main, devices=[one()], **options)
    assert result["msg"] == message
    assert hypervisor.connections == []


class Session:
    """Of a kind of hypervisor whose session does not know ``busy``."""

    def __init__(self, **locks: str) -> None:
        self.locks = locks

    def observe_all(self) -> list[Any]:
        blocked = [(("lock", why),) if why else () for why in self.locks.values()]
        return [restart.ObservedGuest(name, blocked=entry) for name, entry in zip(self.locks, blocked, strict=True)]


def test_a_locked_guest_makes_a_host_busy() -> None:
    assert restart._busy(Session(web1="", web2="it is locked (backup)")) == "web2: it is locked (backup)"
    assert restart._busy(Session(web1="")) == ""
