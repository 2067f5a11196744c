# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One guest's way, step by step, over a session that only notes what it is told."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import Capabilities
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.module.convergence import Convergence, Options
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice, ObservedGuest

WANTED = RngDevice.from_wire({"model": "virtio-transitional"})
OLD = FoundDevice(RngDevice.from_wire({"max_bytes": 5}), "ua-fleet-rng")
OPTIONS = Options(Capabilities(max_bytes=2**32 - 1), wait=7)
BEFORE = ObservedGuest("web1", "some-uuid", running=True, config=(OLD,), live=(OLD,), notes=("a note",))


class NotingSession:
    """A session on a guest that obeys; ``calls`` is what it was told."""

    def __init__(self, guest: ObservedGuest) -> None:
        self.guest = guest
        self.calls: list[tuple[Any, ...]] = []

    def add(self, guest: ObservedGuest, layer: str, device: RngDevice, alias: str) -> None:
        self.calls.append(("add", layer, alias))
        devices = (*(getattr(guest, layer) or ()), FoundDevice(device, alias))
        self.guest = dataclasses.replace(self.guest, **{layer: devices})

    def remove(self, dummy: ObservedGuest, layer: str, found: FoundDevice) -> None:
        self.calls.append(("remove", layer, found.alias))
        kept = tuple(item for item in getattr(self.guest, layer) or () if item.alias != found.alias)
        self.guest = dataclasses.replace(self.guest, **{layer: kept})

    def wait_removed(self, dummy: ObservedGuest, aliases: tuple[str, ...], seconds: float) -> None:
        self.calls.append(("wait", aliases, seconds))

    def observe(self, dummy: ObservedGuest, model: str) -> ObservedGuest:
        self.calls.append(("observe", model))
        return self.guest


def test_a_replacement_adds_first_and_looks_afterwards() -> None:
    session, convergence = NotingSession(BEFORE), Convergence("web1", WANTED, OPTIONS, before=BEFORE)
    convergence.run(session)
    assert session.calls == [
        ("add", "live", "ua-fleet-rng-2"),
        ("add", "config", "ua-fleet-rng-2"),
        ("remove", "config", "ua-fleet-rng"),
        ("remove", "live", "ua-fleet-rng"),
        ("wait", ("ua-fleet-rng",), 7),
        ("observe", "virtio-transitional"),
    ]
    assert convergence.result(check_mode=False)["changed"]


def test_nothing_to_do_is_no_call_at_all() -> None:
    guest = dataclasses.replace(BEFORE, config=(), live=())
    session, convergence = NotingSession(guest), Convergence("web1", None, OPTIONS, before=guest)
    assert not convergence.acts
    convergence.run(session)
    assert session.calls == []
    assert convergence.result(check_mode=False) == {
        "guest": "web1",
        "changed": False,
        "config": "unchanged",
        "live": "unchanged",
        "reason": "has no RNG; a note",
        "error": None,
    }


def test_a_guest_that_was_not_found_has_nothing_to_tell() -> None:
    convergence = Convergence("web1", WANTED, OPTIONS, error="no guest of this name or UUID is here")
    assert not convergence.acts
    assert convergence.diff(check_mode=False) is None
    assert convergence.result(check_mode=True) == {
        "guest": "web1",
        "changed": False,
        "config": "not_applicable",
        "live": "not_applicable",
        "reason": "no guest of this name or UUID is here",
        "error": "no guest of this name or UUID is here",
    }


def test_a_refused_guest_is_unchanged_in_check_mode_and_in_its_diff() -> None:
    convergence = Convergence("web1", WANTED, OPTIONS, before=BEFORE, error="source: no")
    result = convergence.result(check_mode=True)
    assert (result["changed"], result["config"], result["live"]) == (False, "unchanged", "unchanged")
    assert convergence.diff(check_mode=True) is None


def test_a_failure_that_changed_nothing_is_raised_after_one_round() -> None:
    class Refusing(NotingSession):
        def add(self, dummy: ObservedGuest, layer: str, device: RngDevice, alias: str) -> None:
            self.calls.append(("add", layer, alias))
            raise GuestError(f"no {device}")

    session, convergence = Refusing(BEFORE), Convergence("web1", WANTED, OPTIONS, before=BEFORE)
    try:
        convergence.run(session)
    except GuestError as error:
        convergence.error = str(error)
    assert convergence.error == f"no {WANTED}"
    assert [call[0] for call in session.calls] == ["add", "observe"]
