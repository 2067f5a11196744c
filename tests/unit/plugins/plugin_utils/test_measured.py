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


def measure(policy: int, quota: int, period: int, quotas: int, first: float) -> float:
    """The seconds that a warm-up and whole quotas of the policy take where QEMU's limit is ``quota``, all of it free.

    ``first`` is the part of a period until the first renewal.
    """
    renewals = max(0, -(-(policy + min(192, policy) + quotas * policy - quota) // quota))
    return max(0, renewals - 1 + first) * period / 1000 if renewals else 0.0


PERIODS = st.integers(500, 20_000)


@given(st.integers(192, 100_000), PERIODS, st.integers(2, 60), st.floats(0.01, 1), st.floats(0, 0.9))
def test_a_limit_that_works_never_fails_in_a_busy_guest_either(
    quota: int, period: int, quotas: int, first: float, late: float
) -> None:
    seconds = measure(quota, quota, period, quotas, first) + late * period / 1000
    answer, case = check(quotas * quota, seconds, quota, period)
    assert answer.result in ("pass", "unknown")
    assert {found["id"] for found in case.findings} <= {"RNG114"}


@given(st.integers(192, 100_000), PERIODS, st.integers(3, 60), st.integers(4, 1000), st.floats(0, 1), st.floats(0, 0.1))
def test_a_limit_of_a_multiple_is_found(
    policy: int, period: int, quotas: int, factor: int, first: float, late: float
) -> None:
    seconds = measure(policy, factor * policy, period, quotas, first) + late
    answer, case = check(quotas * policy, seconds, policy, period)
    assert [answer.result, *(found["id"] for found in case.findings)] == ["fail", "RNG113"]


def test_there_is_no_grace_above_a_quarter() -> None:
    assert check(4096, 0.58, 4096, 1000)[0].result == "fail"  # 7062 B/s
    assert check(3072, 3072 / (1.26 * 1024), 1024, 1000)[0].result == "fail"
    assert check(3072, 3072 / (1.24 * 1024), 1024, 1000)[0].result == "pass"


def test_figures_that_real_guests_gave() -> None:
    for size, seconds, quota in [(5120, 4.03, 1024), (10_240, 10.0, 1024), (40_960, 4.01, 8192)]:
        assert check(size, seconds, quota, 1000)[0].result == "pass"
    assert check(6_000_000, 5.0, "unlimited", 1000)[0].result == "pass"
    assert check(6_000_000, 5.0, 4096, 1000)[0].result == "fail"
