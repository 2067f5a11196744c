# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharing a budget: what must hold for any claims, and a few shares that can be checked by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.budget import BudgetError, Claim, per_second, share
from hypothesis import assume, given
from hypothesis import strategies as st


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    floor = draw(st.integers(0, 5000))
    ceiling = draw(st.none() | st.integers(max(1, floor), 20_000))
    period, unit = draw(st.sampled_from([1, 10, 333, 1000, 60_000])), draw(st.sampled_from([1, 64]))
    return Claim(period, draw(st.integers(1, 20)), floor, ceiling, unit)


fleets = st.dictionaries(st.text(max_size=3), claims(), max_size=8)
budgets = st.integers(1, 10**7)


def rates(fleet: dict[str, Claim], shares: dict[str, int]) -> dict[str, Fraction]:
    return {name: per_second(shares[name], claim.period) for name, claim in fleet.items()}


def fitting(budget: int, fleet: dict[str, Claim]) -> dict[str, int]:
    assume(sum(claim.floor for claim in fleet.values()) <= budget)
    return share(budget, fleet)


@given(budgets, fleets)
def test_sum_floors_and_ceilings(budget: int, fleet: dict[str, Claim]) -> None:
    shares = fitting(budget, fleet)
    assert sum(rates(fleet, shares).values()) <= budget
    for name, claim in fleet.items():
        assert max(1, claim.min_bytes) <= shares[name]
        assert claim.max_bytes is None or shares[name] <= claim.max_bytes
        assert shares[name] % claim.unit == 0 or shares[name] in (claim.max_bytes, claim.min_bytes)


@given(budgets, fleets)
def test_nothing_is_left_that_somebody_could_use(budget: int, fleet: dict[str, Claim]) -> None:
    shares = fitting(budget, fleet)
    left = budget - sum(rates(fleet, shares).values())
    rounding = sum(per_second(claim.unit, claim.period) for claim in fleet.values())
    thirsty = [name for name, claim in fleet.items() if claim.max_bytes is None or shares[name] < claim.max_bytes]
    assert not thirsty or left < rounding


@given(budgets, fleets)
def test_who_gets_less_for_its_weight_is_at_its_ceiling_or_the_other_at_its_floor(
    budget: int, fleet: dict[str, Claim]
) -> None:
    shares = fitting(budget, fleet)
    given_rates = rates(fleet, shares)
    for poor, claim in fleet.items():
        for rich, other in fleet.items():
            rounding = per_second(claim.unit, claim.period)
            if (given_rates[poor] + rounding) / claim.weight < given_rates[rich] / other.weight:
                assert shares[poor] == claim.max_bytes or shares[rich] == other.floor_bytes


@given(budgets, fleets, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(budget: int, fleet: dict[str, Claim], chance: random.Random) -> None:
    names = list(fleet)
    chance.shuffle(names)
    assert fitting(budget, fleet) == share(budget, {name: fleet[name] for name in names})


@given(budgets, fleets, claims(), st.integers(1, 20))
def test_more_weight_never_gets_less(budget: int, fleet: dict[str, Claim], claim: Claim, more: int) -> None:
    heavier = replace(claim, weight=claim.weight + more)
    assert fitting(budget, {**fleet, "one": claim})["one"] <= share(budget, {**fleet, "one": heavier})["one"]


@given(budgets, fleets, st.integers(1, 10**6))
def test_more_budget_never_gives_less(budget: int, fleet: dict[str, Claim], more: int) -> None:
    before, after = fitting(budget, fleet), share(budget + more, fleet)
    assert all(before[name] <= after[name] for name in fleet)


@given(budgets, fleets)
def test_floors_that_do_not_fit_are_an_error(budget: int, fleet: dict[str, Claim]) -> None:
    assume(sum(claim.floor for claim in fleet.values()) > budget)
    with pytest.raises(BudgetError, match=r"\d+ B/s short$"):
        share(budget, fleet)


@pytest.mark.parametrize(
    ("budget", "fleet", "expected"),
    [
        pytest.param(1000, {}, {}, id="nobody"),
        pytest.param(1000, {"a": Claim(1000), "b": Claim(1000)}, {"a": 500, "b": 500}, id="halves"),
        pytest.param(900, {"a": Claim(1000, 2), "b": Claim(1000, 1)}, {"a": 600, "b": 300}, id="by weight"),
        pytest.param(1000, {"a": Claim(1000), "b": Claim(100)}, {"a": 500, "b": 50}, id="periods"),
        pytest.param(1000, {"a": Claim(1000, 1, 0, 100), "b": Claim(1000)}, {"a": 100, "b": 900}, id="a ceiling"),
        pytest.param(1000, {"a": Claim(1000, 1, 800), "b": Claim(1000)}, {"a": 800, "b": 200}, id="a floor"),
        pytest.param(1000, {"a": Claim(1000, 1, 0, 10), "b": Claim(1000, 1, 0, 20)}, {"a": 10, "b": 20}, id="plenty"),
        pytest.param(1000, {"a": Claim(1000, 1, 600), "b": Claim(1000, 1, 400)}, {"a": 600, "b": 400}, id="floors"),
        pytest.param(200, {"a": Claim(1000, unit=64), "b": Claim(1000, unit=64)}, {"a": 64, "b": 64}, id="a unit"),
        pytest.param(
            1000,
            {"a": Claim(1000, 1, 0, 100, 64), "b": Claim(1000, 1, 0, 50, 64)},
            {"a": 100, "b": 50},
            id="odd ceilings",
        ),
        pytest.param(500, {"a": Claim(1000, 1, 300, None, 64), "b": Claim(1000)}, {"a": 300, "b": 200}, id="odd floor"),
        pytest.param(
            10, {"a": Claim(1000), "b": Claim(1000), "c": Claim(1000)}, {"a": 3, "b": 3, "c": 3}, id="rounded"
        ),
    ],
)
def test_by_hand(budget: int, fleet: dict[str, Claim], expected: dict[str, int]) -> None:
    assert share(budget, fleet) == expected


def test_the_shortfall_is_named() -> None:
    fleet = {"a": Claim(1000, 1, 600), "b": Claim(500, 1, 300), "c": Claim(1000)}
    with pytest.raises(BudgetError) as caught:
        share(1000, fleet)
    assert str(caught.value) == "the floors of 3 guests need 1201 B/s of 1000 B/s: 201 B/s short"


def test_a_guest_cannot_be_given_less_than_a_byte_per_period() -> None:
    assert share(1, {"a": Claim(1000)}) == {"a": 1}
    with pytest.raises(BudgetError, match="need 1000 B/s of 999 B/s: 1 B/s short"):
        share(999, {"a": Claim(1)})
