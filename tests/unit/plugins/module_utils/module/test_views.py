# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All guests side by side: nobody waits for one that hangs, and whatever goes wrong is its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.guest_view import GuestOptions, not_seen
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import Limits
from ansible_collections.fleet.rng.plugins.module_utils.module import views as runner
from ansible_collections.fleet.rng.plugins.module_utils.module.views import Views, look, parse_views
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest

GUEST = Views(guest=GuestOptions())
MEASURE = {"seconds": 5, "bytes": 65536}


class Host:
    """A backend and its sessions: ``answer`` is what a guest's view comes to."""

    def __init__(self, answer: Callable[[str], dict[str, Any]], refuse: int = 0) -> None:
        self.answer, self.refuse = answer, refuse
        self.sessions: list[Session] = []
        self.scans = 0
        self.lock = threading.Lock()

    def processes(self) -> dict[str, int]:
        self.scans += 1
        return {"uuid-a": 7}

    def session(self, readonly: bool = False) -> Session:
        assert not readonly
        with self.lock:
            self.refuse -= 1
            if self.refuse >= 0:
                raise HypervisorError("cannot open qemu:///system for writing: nobody answers")
            self.sessions.append(Session(self))
            return self.sessions[-1]


class Session:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.thread = threading.get_ident()

    def guest_view(self, guest: ObservedGuest, options: GuestOptions) -> dict[str, Any]:
        assert threading.get_ident() == self.thread, "a session is not shared"
        assert options.seconds
        return self.host.answer(guest.name)

    def host_view(self, guest: ObservedGuest, processes: dict[str, int], monitor: bool) -> dict[str, Any]:
        return {"status": "seen", "pid": processes.get(guest.uuid), "qemu": [] if monitor else None}


def guests(*names: str, **options: Any) -> list[ObservedGuest]:
    return [ObservedGuest(name, f"uuid-{name}", **{"running": True, **options}) for name in names]


def seen(name: str) -> dict[str, Any]:
    return not_seen("seen", name)


def statuses(found: list[ObservedGuest]) -> dict[str, Any]:
    return {guest.name: guest.guest_view and guest.guest_view["status"] for guest in found}


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hangs in a test hangs until it ends."""
    event = threading.Event()
    yield event
    event.set()


def test_every_guest_gets_its_own_answer() -> None:
    names = [f"web{number}" for number in range(50)]
    host = Host(seen)
    found = look(guests(*names), host, GUEST)
    assert [guest.name for guest in found] == names
    assert all(guest.guest_view is not None and guest.guest_view["why"] == guest.name for guest in found)
    assert 0 < len(host.sessions) <= runner.WORKERS


def test_nothing_is_opened_without_a_view() -> None:
    host = Host(seen)
    assert look(guests("a"), host, Views()) == guests("a")
    assert host.sessions == []


def test_guests_that_need_no_asking() -> None:
    host = Host(seen)
    found = look([*guests("off", running=False), *guests("broken", error="cannot be read")], host, GUEST)
    assert statuses(found) == {"off": "not running", "broken": "error"}
    assert host.sessions == []


def test_only_some_guests() -> None:
    found = look(guests("a", "b", "c"), Host(seen), Views(guest=GuestOptions(), guests=("a", "UUID-C", "nosuch")))
    assert statuses(found) == {"a": "seen", "b": None, "c": "seen"}


def test_guests_that_hang_hold_up_nobody(release: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SPARE", 0)
    hung = {f"hung{number}" for number in range(2 * runner.WORKERS)}

    def answer(name: str) -> dict[str, Any]:
        if name in hung:
            release.wait(60)
        return seen(name)

    names = [*sorted(hung), *(f"web{number}" for number in range(20))]
    found = look(guests(*names), Host(answer), Views(guest=GuestOptions(seconds=1)))
    assert statuses(found) == {name: "timed out" if name in hung else "seen" for name in names}
    assert found[0].guest_view is not None
    assert found[0].guest_view["why"] == "no answer within 1 seconds"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_costs_one_guest() -> None:
    names = [f"bad{number}" for number in range(20)] + ["web1"]

    def answer(name: str) -> dict[str, Any]:
        return seen(name) if name == "web1" else {}["fault"]

    found = look(guests(*names), Host(answer), GUEST)
    assert statuses(found) == {name: "seen" if name == "web1" else "error" for name in names}
    assert "a fault of this collection" in str(found[0].guest_view)
    for worker in set(threading.enumerate()) - {threading.main_thread()}:
        worker.join(60)  # so that their exceptions are this test's, where they are meant


def test_connections_that_are_refused() -> None:
    found = look(guests("a", "b", "c"), Host(seen, refuse=99), GUEST)
    assert set(statuses(found).values()) == {"error"}
    assert "for writing: nobody answers" in str(found[0].guest_view)


def test_a_connection_that_is_refused_once_costs_one_guest() -> None:
    found = look(guests(*"abcdef"), Host(seen, refuse=1), GUEST)
    assert sorted(statuses(found).values()) == ["error", *["seen"] * 5]


@pytest.mark.parametrize("monitor", [False, True])
def test_both_views(monitor: bool) -> None:
    host = Host(seen)
    a, b, off = look(
        [*guests("a", "b"), *guests("off", running=False)],
        host,
        Views(guest=GuestOptions(), host=True, monitor=monitor),
    )
    assert a.host_view == {"status": "seen", "pid": 7, "qemu": [] if monitor else None}
    assert b.host_view is not None
    assert b.host_view["pid"] is None
    assert off.host_view == {
        "status": "not running",
        "why": "it is shut off",
        "pid": None,
        "open": [],
        "qemu": None,
        "qemu_why": None,
    }
    assert statuses([a, b, off]) == {"a": "seen", "b": "seen", "off": "not running"}
    assert host.scans == 1


def test_processes_are_not_looked_for_without_need() -> None:
    host = Host(seen)
    look(guests("a"), host, GUEST)
    look(guests("off", running=False), host, Views(host=True))
    assert host.scans == 0


def test_processes_that_cannot_be_looked_for(release: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "HOST_SECONDS", 1)
    monkeypatch.setattr(Host, "processes", lambda host: {str(host): release.wait(60)})
    (guest,) = look(guests("a"), Host(seen), Views(guest=GuestOptions(), host=True))
    assert guest.host_view is not None
    assert guest.host_view["why"] == "no answer within 1 seconds while looking for the processes of guests"
    assert statuses([guest]) == {"a": "seen"}


def test_a_view_of_the_host_that_hangs(release: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "HOST_SECONDS", 1)
    monkeypatch.setattr(Session, "host_view", lambda *dummy: {"status": str(release.wait(60))})
    (guest,) = look(guests("a"), Host(seen), Views(guest=GuestOptions(), host=True))
    assert guest.host_view is not None
    assert (guest.host_view["status"], guest.host_view["why"]) == ("error", "no answer within 1 seconds")
    assert statuses([guest]) == {"a": "seen"}


def test_a_broken_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKERS", 1)

    def answer(name: str) -> dict[str, Any]:
        if name == "a":
            raise HypervisorError("libvirt went away")
        return seen(name)

    host = Host(answer)
    assert statuses(look(guests("a", "b", "c"), host, GUEST)) == {"a": "error", "b": "seen", "c": "seen"}
    assert len(host.sessions) == 2


def test_a_daemon_that_restarts_costs_only_whom_it_was_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKERS", 1)
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)

    def answer(name: str) -> dict[str, Any]:
        if name == "a":
            host.refuse = 3
            raise HypervisorError("libvirt went away")
        return seen(name)

    host = Host(answer)
    assert statuses(look(guests("a", "b", "c"), host, GUEST)) == {"a": "error", "b": "seen", "c": "seen"}


def test_patience() -> None:
    assert GUEST.patience(runner.GUEST) == 10 + runner.SPARE
    measured = Views(guest=GuestOptions(seconds=3, measure=Limits(seconds=30)))
    assert measured.patience(runner.GUEST) == 3 + runner.SPARE + 30 + 5


# Options


def test_defaults() -> None:
    assert parse_views({}) == Views()
    assert parse_views({"guest_view": True, "guests": []}) == Views(guest=GuestOptions(), guests=())


def test_all_options() -> None:
    options = {
        "guest_view": True,
        "guest_exec": True,
        "measure": MEASURE,
        "timeout": 3,
        "guests": ["a"],
        "host_view": True,
        "monitor": True,
    }
    assert parse_views(options) == Views(GuestOptions(True, 3, Limits(5, 65536)), True, True, ("a",))


@pytest.mark.parametrize(
    ("options", "variable", "words"),
    [
        ({"timeout": 0}, "timeout", "0 is not valid; allowed: seconds, an integer from 1 to 600"),
        ({"timeout": 601}, "timeout", "601 is not valid"),
        ({"measure": MEASURE}, "measure", "only together with guest_view and guest_exec"),
        ({"measure": MEASURE, "guest_view": True}, "measure", "only together with"),
        (
            {"measure": {**MEASURE, "seconds": 61}},
            "measure.seconds",
            "61 is not valid; allowed: seconds, an integer from 1",
        ),
        (
            {"measure": {**MEASURE, "bytes": 255}},
            "measure.bytes",
            "255 is not valid; allowed: bytes, an integer from 256",
        ),
        ({"measure": {**MEASURE, "bytes": 2**24 + 1}}, "measure.bytes", "from 256 to 16777216"),
    ],
)
def test_invalid_options(options: dict[str, Any], variable: str, words: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_views(options)
    assert caught.value.variable == variable
    assert words in str(caught.value)
