# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observed guest and its spelling on the wire, which the plan reads back on the controller."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.observation import CONFIG, LIVE, FoundDevice, ObservedGuest
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils import strategies
from hypothesis import given
from hypothesis import strategies as st

DEVICE = RngDevice.from_wire({"source": "/dev/hwrng"})
GUEST = ObservedGuest(
    name="web1",
    uuid="1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11",
    running=True,
    arch="x86_64",
    machine="pc-q35-7.2",
    config=(FoundDevice(DEVICE, "ua-fleet-rng", handle="<rng/>"),),
    live=(FoundDevice(None, "", "backend nosuch"),),
    blocked=(("live", "no free port"),),
    notes=("note",),
)
WIRE = {
    "name": "web1",
    "uuid": "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11",
    "running": True,
    "persistent": True,
    "arch": "x86_64",
    "machine": "pc-q35-7.2",
    "config": [
        {
            "source": "/dev/hwrng",
            "max_bytes": 1024,
            "period": 1000,
            "model": "virtio",
            "driver": {},
            "alias": "ua-fleet-rng",
        }
    ],
    "live": [{"source": None, "unknown": "backend nosuch", "alias": None}],
    "blocked": {"live": "no free port"},
    "guest_view": None,
    "host_view": None,
    "notes": ["note"],
    "error": None,
}


def test_to_wire() -> None:
    assert GUEST.to_wire() == WIRE


def test_a_number_is_on_the_wire_where_a_guest_has_one() -> None:
    numbered = dataclasses.replace(GUEST, number="101")
    assert numbered.to_wire() == {**WIRE, "number": "101"}
    assert ObservedGuest.from_wire(numbered.to_wire()).number == "101"


@pytest.mark.parametrize(
    ("name", "number", "given"),
    [
        ("web1", "", "web1"),
        ("web1", "101", "web1"),
        ("web1 (101)", "101", "web1"),
        ("web1 (102)", "101", "web1 (102)"),
        ("web1 (101)", "", "web1 (101)"),
    ],
)
def test_the_name_that_was_given(name: str, number: str, given: str) -> None:
    assert ObservedGuest(name, number=number).given_name == given


def test_from_wire() -> None:
    assert ObservedGuest.from_wire(WIRE) == GUEST


def test_what_removes_a_device_stays_on_the_host() -> None:
    assert "<rng/>" not in json.dumps(GUEST.to_wire())


def test_only_a_name_is_needed() -> None:
    assert ObservedGuest.from_wire({"name": "x"}) == ObservedGuest("x")


def test_layers() -> None:
    assert (GUEST.blocked_on(CONFIG), GUEST.blocked_on(LIVE)) == ("", "no free port")


@pytest.mark.parametrize(
    ("wire", "unknown"),
    [
        ({"source": None}, "not described"),
        ({"source": "nosuch"}, "source: 'nosuch' is not valid"),
        ({"source": "/dev/urandom", "max_bytes": 0}, "max_bytes: 0 is not valid"),
    ],
)
def test_a_device_that_cannot_be_read_is_unknown_and_still_there(wire: dict[str, Any], unknown: str) -> None:
    found = FoundDevice.from_wire({**wire, "alias": "rng0"})
    assert (found.device, found.alias) == (None, "rng0")
    assert found.unknown.startswith(unknown)
    assert str(found) == f"an RNG that is not ours to describe ({found.unknown})"


@given(st.builds(FoundDevice, strategies.devices, st.sampled_from(["", "rng0", "ua-fleet-rng"])))
def test_a_device_survives_the_wire(found: FoundDevice) -> None:
    assert FoundDevice.from_wire(json.loads(json.dumps(found.to_wire()))) == found
