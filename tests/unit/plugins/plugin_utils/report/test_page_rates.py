# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates, budgets and rules as pictures need them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page_facts, page_rates


def guests(*rates: tuple[object, float | None]) -> list[page_facts.Guest]:
    return [
        page_facts.Guest(
            data={"name": "g", "view": {"measured": measured and {"bytes_per_second": measured}}},
            host=0,
            hypervisor="hv1",
            devices=[{"source": "builtin", "max_bytes": rate, "period": 1000}],
            verdict="verified",
            run=("unchanged",),
            why="",
        )
        for rate, measured in rates
    ]


def test_rates_in_order_with_what_was_measured() -> None:
    found, more = page_rates.quotas(
        guests(("unlimited", 9e6), (4096, None), (1024, 1000.0), (1024, 1024.0), (1024, 900.0))
    )
    assert [(one.text, one.guests, one.measured) for one in found] == [
        ("1 KiB/s", 3, 3),
        ("4 KiB/s", 1, 0),
        ("unlimited", 1, 1),
    ]
    assert more == 0
    assert found[0].spread == (900.0, 1000.0, 1024.0)
    assert found[0].marks
    low, middle, high, limit = found[0].marks
    assert 0 <= low < middle < high == limit <= page_rates.WIDTH
    assert found[2].marks
    assert found[2].marks[3] is None


def test_rare_rates_are_counted_not_shown() -> None:
    found, more = page_rates.quotas(guests(*((rate, None) for rate in range(1, 30))))
    assert (len(found), more) == (page_rates.QUOTAS, 29 - page_rates.QUOTAS)


def test_no_rates() -> None:
    assert page_rates.quotas([]) == ([], 0)


@pytest.mark.parametrize(
    ("promised", "budget", "band", "widths"),
    [
        (0, 100, "under half", (0, 1000)),
        (80, 100, "half to 80 %", (800, 1000)),
        (100, 100, "80 to 100 %", (1000, 1000)),
        (200, 100, "over budget", (1000, 500)),
        (5, 0, "over budget", (1000, 0)),
        (0, 0, "under half", (0, 0)),
    ],
)
def test_a_budget(promised: int, budget: int, band: str, widths: tuple[float, float]) -> None:
    given = {"bytes_per_second": budget, "promised": promised, "guests": 2}
    [found], bands = page_rates.budgets([{"hypervisor": "hv1", "budget": given}, {"hypervisor": "hv2", "budget": None}])
    assert (found.band, found.widths) == (band, widths)
    assert bands[band] == sum(bands.values()) == 1


def test_a_budget_says_that_it_was_measured() -> None:
    given = {"bytes_per_second": 2048, "promised": 1024, "guests": 2}
    old, chosen, measured = (
        {"hypervisor": name, "budget": {**given, **more}}
        for name, more in (("a", {}), ("b", {"measured": None}), ("c", {"measured": {"share": 50, "sources": {}}}))
    )
    found, dummy = page_rates.budgets([old, chosen, measured])
    assert [budget.text.endswith("(50 %), measured") for budget in found] == [False, False, True]


def test_rules_are_counted_by_result_and_judgement() -> None:
    def host(result: str, judgement: str) -> dict[str, Any]:
        item = {"id": "R1", "title": "Rule", "result": result, "why": "", "judgement": judgement, "note": "n"}
        return {"hypervisor": "hv", "compliance": [item]}

    [rule] = page_rates.rules([host("pass", "agree"), host("fail", "agree"), host("fail", "out of date")])
    assert rule.results == {"pass": 1, "fail": 2}
    assert rule.judgements == {("agree", "n"): 2, ("out of date", "n"): 1}
