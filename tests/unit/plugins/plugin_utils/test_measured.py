# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured rate against a limiter that works as QEMU's does; test_verify has the table with the other answers."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import Capabilities, decide
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import Case, Check
from ansible_collections.fleet.rng.plugins.plugin_utils.measured import check_measured
from hypothesis import given
from hypothesis import strategies as st


def check(size: int, seconds: float, max_bytes: Any, period: int) -> tuple[Check, Case]:
    device = {"source": "/dev/urandom", "max_bytes": max_bytes, "period": period}
    measured = {"status": "measured", "why": None, "bytes": size, "seconds": seconds, "health": {}}
    guest = ObservedGuest.from_wire(
        {"name": "web1", "running": True, "config": [device], "live": [device], "guest_view": {"measured": measured}}
    )
    wanted = RngDevice.from_wire(device)
    case = Case(guest, wanted, decide(wanted, guest, Capabilities(max_bytes=2**32 - 1)))
    return check_measured(case, True), case


def drawn(milliseconds: int, quota: int, period: int, renewed: int, left: int) -> int:
    """What a reader that never pauses gets, when the quota is next renewed after ``renewed`` milliseconds."""
    renewals = 0 if renewed > milliseconds else 1 + (milliseconds - renewed) // period
    return left + renewals * quota


@given(
    st.integers(1, 60_000),
    st.integers(1, 100_000),
    st.integers(1, 20_000),
    st.integers(0, 20_000),
    st.integers(0, 100_000),
)
def test_a_limiter_that_works_is_never_too_fast_or_slow(
    milliseconds: int, quota: int, period: int, renewed: int, left: int
) -> None:
    size = drawn(milliseconds, quota, period, min(renewed, period), min(left, quota))
    answer, case = check(size, milliseconds / 1000, quota, period)
    assert answer.result in ("pass", "unknown")
    assert {found["id"] for found in case.findings} <= {"RNG127"}
    assert size == 0 or answer.result == "pass"


@given(st.integers(1, 100_000), st.integers(10, 20_000), st.integers(5, 60))
def test_a_limiter_of_twice_the_rate_is_found(quota: int, period: int, periods: int) -> None:
    quota = max(quota, 512)
    seconds = periods * period / 1000
    answer, case = check(2 * quota * periods, seconds, quota, period)
    assert answer.result == "fail"
    assert [found["id"] for found in case.findings] == ["RNG113"]


def test_figures_that_real_guests_gave() -> None:
    for size, seconds, quota in [(5120, 4.03, 1024), (10_240, 10.0, 1024), (40_960, 4.01, 8192)]:
        assert check(size, seconds, quota, 1000)[0].result == "pass"
    assert check(6_000_000, 5.0, "unlimited", 1000)[0].result == "pass"
    assert check(6_000_000, 5.0, 4096, 1000)[0].result == "fail"
