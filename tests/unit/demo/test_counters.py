# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's judgement of who got what: it must see what a broker does that does not share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharing.counters import SETTLING, Phase, Sample, mistakes, rates, share, unserved

GUESTS = ("gold-1", "gold-2", "silver-1", "silver-2")
START = 1_800_000_000.0
LENGTH = 12
ALL = {"gold-1": 3072, "gold-2": 3072, "silver-1": 1024, "silver-2": 1024}
GOLD_IDLE = {"silver-1": 4096, "silver-2": 4096}


def samples(*phases: Mapping[str, int], restarts: int = 0) -> list[Sample]:
    """Looks, a second apart, at guests that get so many bytes per second in phases of LENGTH seconds."""
    counts = dict.fromkeys(GUESTS, 1000)
    found = [Sample(START, dict(counts), 4000, 4, restarts)]
    for second in range(len(phases) * LENGTH):
        for guest, rate in phases[second // LENGTH].items():
            counts[guest] += rate
        found.append(Sample(START + second + 1, dict(counts), sum(counts.values()), 4, restarts))
    return found


def phases(*busy: Mapping[str, int]) -> list[Phase]:
    return [
        Phase(f"phase {number}", frozenset(guests), START + number * LENGTH, START + (number + 1) * LENGTH)
        for number, guests in enumerate(busy)
    ]


def test_sample_of_a_status_document():
    document = {
        "updated": START,
        "clients": 3,
        "restarts": 2,
        "sources": [{"source": "/dev/hwrng", "bytes": 50}, {"source": "getrandom", "bytes": 7}],
        "guests": [
            {"guest": "gold-1", "class": "gold", "bytes": 20},
            {"guest": "silver-1", "class": "silver", "bytes": 30},
            {"guest": "gold-1", "class": "gold", "bytes": 1},
        ],
    }
    assert Sample.parse(document) == Sample(START, {"gold-1": 21, "silver-1": 30}, 57, 3, 2)


def test_rates_are_those_of_each_second():
    found = rates(samples(ALL, GOLD_IDLE), GUESTS)
    assert found["gold-1"] == pytest.approx([3072] * LENGTH + [0] * LENGTH)
    assert found["silver-1"] == pytest.approx([1024] * LENGTH + [4096] * LENGTH)


def test_looks_that_come_late_shift_no_bytes_to_another_second():
    looks = [sample for sample in samples(ALL) if sample.at - START not in (3, 4, 8)]
    assert rates(looks, GUESTS)["silver-2"] == pytest.approx([1024] * LENGTH)


@given(st.lists(st.tuples(st.floats(0.05, 3.0), st.integers(0, 10_000)), min_size=30, max_size=60))
def test_rates_lose_no_bytes(steps):
    looks = [Sample(START, {"gold-1": 5}, 0, 1, 0)]
    for pause, count in steps:
        looks.append(Sample(looks[-1].at + pause, {"gold-1": looks[-1].guests["gold-1"] + count}, 0, 1, 0))
    given_out = looks[-1].guests["gold-1"] - looks[0].guests["gold-1"]
    found = rates(looks, ["gold-1"])["gold-1"]
    assert len(found) == int(looks[-1].at - START)
    assert min(found) > -0.01
    # What comes after the last full second is not in it.
    assert sum(found) <= given_out + 0.01
    last = [look.guests["gold-1"] for look in looks if look.at <= START + len(found)][-1]
    assert sum(found) >= last - 5 - 0.01


def test_a_share_is_without_the_first_seconds():
    looks, (first, second) = samples(ALL, GOLD_IDLE), phases(ALL, GOLD_IDLE)
    found = share(looks, first)
    assert found.seconds == LENGTH - SETTLING
    assert found.guests == {guest: rate * found.seconds for guest, rate in ALL.items()}
    assert (found.group("gold"), found.group("silver")) == (6144 * found.seconds, 2048 * found.seconds)
    assert found.per_second == 8192
    assert share(looks, second).group("gold") == 0


def test_a_phase_without_two_looks_is_no_share():
    with pytest.raises(ValueError, match="phase 0: the broker was not looked at twice"):
        share(samples(ALL)[:3], phases(ALL)[0])


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        pytest.param((ALL, GOLD_IDLE), [], id="as it should be"),
        pytest.param((ALL, {**GOLD_IDLE, "gold-1": 64}), [], id="an idle guest's kernel draws a little"),
        pytest.param(
            ({guest: rate // 100 for guest, rate in ALL.items()}, dict.fromkeys(GOLD_IDLE, 41)),
            [],
            id="a slow machine",
        ),
        pytest.param(
            (dict.fromkeys(GUESTS, 2048), GOLD_IDLE),
            ["phase 0: gold has 40960 bytes and silver 40960, and not 3 : 1"],
            id="first come, first served",
        ),
        pytest.param(
            ({"gold-1": 4096, "gold-2": 4096}, GOLD_IDLE),
            [
                "phase 0: gold has 81920 bytes and silver 0, and not 3 : 1",
                "phase 0: the guests of silver have 0 and 0 bytes",
            ],
            id="silver starves",
        ),
        pytest.param(
            (ALL, {"silver-1": 1024, "silver-2": 1024}),
            ["phase 1: 2048 bytes a second were given out, and 8192 while all were busy: an idle share was lost"],
            id="silver is held to its guarantee",
        ),
        pytest.param(
            (ALL, {"silver-1": 7000, "silver-2": 1192}),
            ["phase 1: the guests of silver have 11920 and 70000 bytes"],
            id="one guest of a group has nearly all",
        ),
        pytest.param(
            (ALL, {**GOLD_IDLE, "gold-2": 1024}),
            ["phase 1: gold-2 is idle and has 10240 of 92160 bytes"],
            id="an idle guest is given bytes",
        ),
    ],
)
def test_mistakes(got, expected):
    shares = [share(samples(*got), phase) for phase in phases(ALL, GOLD_IDLE)]
    assert mistakes(shares, 3.0) == expected


def test_a_guest_that_gets_nothing_for_a_while_is_named():
    looks = samples(ALL, {**ALL, "silver-2": 0})
    assert unserved(looks, GUESTS, START, START + LENGTH) == []
    assert unserved(looks, GUESTS, START, START + 2 * LENGTH) == ["silver-2"]
    with pytest.raises(ValueError, match="not looked at often enough"):
        unserved(looks, GUESTS, START, START + 2)
