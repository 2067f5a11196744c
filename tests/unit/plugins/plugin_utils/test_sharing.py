# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured budgets: that wobbling measurements change nothing. The table cases/plan/measured.json has the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import Rate, RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice, ObservedGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Policy
from ansible_collections.fleet.rng.plugins.plugin_utils.sharing import (
    Shared,
    Wanting,
    share_measured,
    share_number,
    steady,
    step,
    untested,
)
from hypothesis import given
from hypothesis import strategies as st

SOURCES = ("/dev/urandom", "/dev/hwrng")
MOST = 2**32 - 1


@st.composite
def guests(draw: st.DrawFn) -> Wanting:
    """A guest without an RNG; its floor is small enough for the rates below."""
    limit = draw(st.none() | st.integers(1, 100_000))
    floor = draw(st.integers(0, min(limit or 512, 512)))
    source = Source.parse(draw(st.sampled_from(SOURCES)))
    policy = Policy(
        "present", RngDevice(source, Rate(limit)), 1000, weight=draw(st.integers(1, 9)), min_bytes=floor, origin={}
    )
    return Wanting(ObservedGuest("", config=()), policy, MOST)


fleets = st.lists(guests(), max_size=6).map(lambda found: dict(enumerate(found)))
rates = st.floats(100_000, 1e9)
wobbles = st.floats(0.51, 1.5)


def results(rate: float) -> dict[str, Any]:
    return {"sources": [{"source": source, "status": "good", "bytes_per_second": rate} for source in SOURCES]}


def applied(fleet: dict[int, Wanting], shared: Shared) -> dict[int, Wanting]:
    """The guests after a run that gave them what was planned; their policies are as they were."""
    return {
        key: replace(one, guest=replace(one.guest, config=(FoundDevice(shared.policies[key].device),)))
        for key, one in fleet.items()
    }


@given(fleets, rates, st.lists(wobbles, min_size=1, max_size=4), st.integers(1, 100))
def test_measurements_that_wobble_change_nothing(
    fleet: dict[int, Wanting], rate: float, wobbling: list[float], percent: int
) -> None:
    rate = rate * 100 / percent
    first = share_measured("hv1", percent, results(rate), fleet)
    for wobble in wobbling:
        after = share_measured("hv1", percent, results(rate * wobble), applied(fleet, first))
        assert {key: policy.device for key, policy in after.policies.items()} == {
            key: policy.device for key, policy in first.policies.items()
        }


@given(fleets, rates, st.integers(1, 100))
def test_the_first_promise_is_within_the_share(fleet: dict[int, Wanting], rate: float, percent: int) -> None:
    rate = rate * 100 / percent
    row = share_measured("hv1", percent, results(rate), fleet).row
    for one in row["measured"]["sources"].values():
        assert one["promised"] <= one["bytes_per_second"] <= rate * percent / 100
    assert row["promised"] <= row["bytes_per_second"]
    assert row["guests"] == sum(one["guests"] for one in row["measured"]["sources"].values()) == len(fleet)


@given(fleets, rates, st.floats(0.01, 100))
def test_a_later_promise_is_never_above_twice_the_share(fleet: dict[int, Wanting], rate: float, change: float) -> None:
    first = share_measured("hv1", 50, results(rate * 1000), fleet)
    row = share_measured("hv1", 50, results(rate * 1000 * change), applied(fleet, first)).row
    for one in row["measured"]["sources"].values():
        assert one["promised"] <= one["bytes_per_second"] <= rate * 1000 * change


@given(fleets, rates)
def test_a_source_that_became_much_slower_lowers_the_rates(fleet: dict[int, Wanting], rate: float) -> None:
    first = share_measured("hv1", 50, results(rate * 1000), fleet)
    row = share_measured("hv1", 50, results(rate * 100), applied(fleet, first)).row
    assert all(one["promised"] <= rate * 100 for one in row["measured"]["sources"].values())


@given(st.integers(0, 2**70))
def test_a_step_is_at_most_a_fifth_below(size: int) -> None:
    assert size * 4 / 5 <= step(size) <= size
    assert step(step(size)) == step(size)


def test_steps() -> None:
    assert [step(size) for size in (0, 1, 7, 8, 9, 10, 4095, 4096, 5119, 5120, 10**9)] == [
        *(0, 1, 7, 8, 8, 10, 3584, 4096, 4096, 5120, 939524096),
    ]


def test_without_guests_there_is_nothing_to_keep() -> None:
    assert steady(5000, {}) == 4096
    assert share_number("hv1", 5000, {}).row == {
        "bytes_per_second": 5000,
        "promised": 0,
        "guests": 0,
        "measured": None,
    }


def test_untested() -> None:
    assert untested(["/dev/a", "/dev/b"], {"sources": [{"source": "/dev/b"}]}) == ["/dev/a"]
    assert untested(["/dev/a"], None) == untested(["/dev/a"], {"skipped": True}) == ["/dev/a"]
