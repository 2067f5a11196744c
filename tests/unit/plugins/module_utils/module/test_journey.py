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
from ansible_collections.fleet.rng.plugins.module_utils.module.journey import Journey, Options
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
        devices = (*(guest.devices(layer) or ()), FoundDevice(device, alias))
        self.guest = dataclasses.replace(self.guest, **{layer: devices})

    def remove(self, dummy: ObservedGuest, layer: str, found: FoundDevice) -> None:
        self.calls.append(("remove", layer, found.alias))
        kept = tuple(item for item in self.guest.devices(layer) or () if item.alias != found.alias)
        self.guest = dataclasses.replace(self.guest, **{layer: kept})

    def wait_removed(self, dummy: ObservedGuest, aliases: tuple[str, ...], seconds: float) -> None:
        self.calls.append(("wait", aliases, seconds))

    def observe(self, dummy: ObservedGuest, model: str) -> ObservedGuest:
        self.calls.append(("observe", model))
        return self.guest


def test_a_replacement_adds_first_and_looks_afterwards() -> None:
    session, journey = NotingSession(BEFORE), Journey("web1", WANTED, OPTIONS, before=BEFORE)
    journey.run(session)
    assert session.calls == [
        ("add", "live", "ua-fleet-rng-2"),
        ("add", "config", "ua-fleet-rng-2"),
        ("remove", "config", "ua-fleet-rng"),
        ("remove", "live", "ua-fleet-rng"),
        ("wait", ("ua-fleet-rng",), 7),
        ("observe", "virtio-transitional"),
    ]
    assert journey.result(check_mode=False)["changed"]


def test_nothing_to_do_is_no_call_at_all() -> None:
    guest = dataclasses.replace(BEFORE, config=(), live=())
    session, journey = NotingSession(guest), Journey("web1", None, OPTIONS, before=guest)
    assert not journey.acts
    journey.run(session)
    assert session.calls == []
    assert journey.result(check_mode=False) == {
        "guest": "web1",
        "changed": False,
        "config": "unchanged",
        "live": "unchanged",
        "reason": "has no RNG; a note",
        "error": None,
    }


def test_a_guest_that_was_not_found_has_nothing_to_tell() -> None:
    journey = Journey("web1", WANTED, OPTIONS, error="no guest of this name or UUID is here")
    assert not journey.acts
    assert journey.diff(check_mode=False) is None
    assert journey.result(check_mode=True) == {
        "guest": "web1",
        "changed": False,
        "config": "not_applicable",
        "live": "not_applicable",
        "reason": "no guest of this name or UUID is here",
        "error": "no guest of this name or UUID is here",
    }


def test_a_refused_guest_is_unchanged_in_check_mode_and_in_its_diff() -> None:
    journey = Journey("web1", WANTED, OPTIONS, before=BEFORE, error="source: no")
    result = journey.result(check_mode=True)
    assert (result["changed"], result["config"], result["live"]) == (False, "unchanged", "unchanged")
    assert journey.diff(check_mode=True) is None


def test_a_failure_that_changed_nothing_is_raised_after_one_round() -> None:
    class Refusing(NotingSession):
        def add(self, dummy: ObservedGuest, layer: str, device: RngDevice, alias: str) -> None:
            self.calls.append(("add", layer, alias))
            raise GuestError(f"no {device}")

    session, journey = Refusing(BEFORE), Journey("web1", WANTED, OPTIONS, before=BEFORE)
    try:
        journey.run(session)
    except GuestError as error:
        journey.error = str(error)
    assert journey.error == f"no {WANTED}"
    assert [call[0] for call in session.calls] == ["add", "observe"]
