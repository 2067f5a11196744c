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
    measured["bytes_per_second"] = size / max(seconds, 0.01)
    guest = ObservedGuest.from_wire(
        {"name": "web1", "running": True, "config": [device], "live": [device], "guest_view": {"measured": measured}}
    )
    wanted = RngDevice.from_wire(device)
    case = Case(guest, wanted, decide(wanted, guest, Capabilities(max_bytes=2**32 - 1)))
    return check_measured(case, True), case


def when_drawn(count: int, quota: int, period: int, left: int) -> float:
    """The seconds after which a reader has got ``count`` bytes, the first renewal being one period away."""
    renewals = max(0, -(-(count - left) // quota))
    return renewals * period / 1000


def measure(policy: int, quota: int, period: int, quotas: int, left: int) -> float:
    """The seconds that whole quotas of the policy take where QEMU's limit is ``quota``, after the warm-up."""
    warm_up = policy + min(64, policy)
    return when_drawn(warm_up + quotas * policy, quota, period, left) - when_drawn(warm_up, quota, period, left)


PERIODS = st.integers(500, 20_000)


@given(st.integers(1, 100_000), PERIODS, st.integers(1, 60), st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 0.2))
def test_a_limit_that_works_passes_in_a_busy_guest_too(
    quota: int, period: int, quotas: int, left: float, early: float, late: float
) -> None:
    seconds = measure(quota, quota, period, quotas, int(left * quota)) + late - early
    answer, case = check(quotas * quota, seconds, quota, period)
    assert (answer.result, case.findings) == ("pass", [])


@given(st.integers(64, 100_000), PERIODS, st.integers(3, 60), st.integers(4, 1000), st.floats(0, 1), st.floats(0, 0.1))
def test_a_limit_of_a_multiple_is_found(
    policy: int, period: int, quotas: int, factor: int, left: float, late: float
) -> None:
    # Of fewer than three quotas, one renewal that falls into the measuring hides the rest.
    quota = factor * policy
    seconds = measure(policy, quota, period, quotas, int(left * quota)) + late
    answer, case = check(quotas * policy, seconds, policy, period)
    assert [answer.result, *(found["id"] for found in case.findings)] == ["fail", "RNG113"]


def test_figures_that_real_guests_gave() -> None:
    for size, seconds, quota in [(5120, 4.03, 1024), (10_240, 10.0, 1024), (40_960, 4.01, 8192)]:
        assert check(size, seconds, quota, 1000)[0].result == "pass"
    assert check(6_000_000, 5.0, "unlimited", 1000)[0].result == "pass"
    assert check(6_000_000, 5.0, 4096, 1000)[0].result == "fail"
