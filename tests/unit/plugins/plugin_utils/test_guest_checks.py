# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single checks of a guest; test_verify has the table of whole guests."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.converge import Capabilities, decide
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import (
    Case,
    Inside,
    check_open,
    check_rate,
    check_source,
)

WANTED = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000}


def case(live: list[dict[str, Any]], inside: Any = None, **changes: Any) -> Case:
    guest = ObservedGuest.from_wire({"name": "web1", "running": True, "config": [WANTED], "live": live, **changes})
    wanted = RngDevice.from_wire(WANTED)
    return Case(guest, wanted, decide(wanted, guest, Capabilities(max_bytes=2**32 - 1)), inside=lambda: inside)


def test_the_device_to_judge_is_the_wanted_one_then_ours_then_the_first() -> None:
    other, ours = {"source": "builtin", "alias": "rng0"}, {"source": "builtin", "alias": "ua-fleet-rng"}
    for live, alias in [
        ([other, ours, {**WANTED, "alias": "rng1"}], "rng1"),
        ([{**WANTED, "alias": "rng1"}, {**WANTED, "alias": "ua-fleet-rng-2"}], "ua-fleet-rng-2"),
        ([other, ours], "ua-fleet-rng"),
        ([other], "rng0"),
    ]:
        device = case(live).device
        assert device is not None
        assert device.alias == alias
    assert case([]).device is None


def test_the_open_file_is_that_of_the_device_also_among_twins() -> None:
    twin = {**WANTED, "alias": ""}
    view = {"status": "seen", "pid": 1, "open": [{"source": "/dev/urandom", "open": flag} for flag in (True, False)]}
    assert check_open(case([twin, twin], host_view=view)).result == "pass"
    view["open"].reverse()
    assert check_open(case([twin, twin], host_view=view)).result == "fail"


def test_an_open_file_that_nothing_was_said_of_is_unknown() -> None:
    checked = case([WANTED], host_view={"status": "seen", "pid": 1, "open": []})
    assert check_open(checked).result == "unknown"
    assert [found["id"] for found in checked.findings] == ["RNG126"]


@pytest.mark.parametrize(
    ("qemu", "source", "rate"),
    [
        ([{"id": "other", "source": "builtin", "max_bytes": 1, "period": 1}] * 2, "the hypervisor", "the hypervisor"),
        ([{"id": "x", "source": "/dev/urandom", "max_bytes": 1024, "period": 1000}], "QEMU", "QEMU"),
        ([], "the hypervisor", "the hypervisor"),
        (None, "the hypervisor", "the hypervisor"),
    ],
)
def test_who_is_believed(qemu: list[dict[str, Any]] | None, source: str, rate: str) -> None:
    checked = case([{**WANTED, "alias": "ua-x"}], host_view={"status": "seen", "qemu": qemu})
    assert check_source(checked).message == f"/dev/urandom, as {source} says"
    assert check_rate(checked).message == f"1024 B / 1000 ms, as {rate} says"


RNG = {"current": "virtio_rng.0", "available": ["virtio_rng.0"], "virtio_rng": "loaded"}


@pytest.mark.parametrize(
    ("view", "inside", "by", "driver", "current"),
    [
        ({"status": "seen", "driver": True, "rng": RNG}, {**RNG, "current": "tpm"}, "agent", True, "virtio_rng.0"),
        ({"status": "seen", "driver": True, "rng": {"current": None}}, None, "agent", True, None),
        ({"status": "seen", "driver": True, "rng": {"current": None}}, RNG, "rng_info", True, "virtio_rng.0"),
        (
            {"status": "seen", "driver": None, "rng": {"current": "tpm", "available": ["tpm"]}},
            None,
            "agent",
            None,
            "tpm",
        ),
        ({"status": "seen", "driver": False, "rng": {"current": None, "available": []}}, None, "agent", False, ""),
        ({"status": "timed out", "driver": True, "rng": RNG}, None, "agent", None, None),
        (None, RNG, "rng_info", True, "virtio_rng.0"),
    ],
)
def test_who_tells_of_the_guests_kernel(view: Any, inside: Any, by: str, driver: bool, current: str) -> None:
    told = Inside.of(case([WANTED], inside, guest_view=view))
    assert by in told.by
    assert (told.driver, told.current) == (driver, current)
