# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The buckets of one class, and what is handed over of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.bucket import INFINITE, Class
from hypothesis import given
from hypothesis import strategies as st


def made(rate: float = 1000, ceil: int | None = 2000, burst: int = 500, now: float = 10.0) -> Class:
    root = Class("", None, INFINITE, None, 512, 0, now)
    return Class("a", root, rate, ceil, burst, 0, now)


def test_a_new_class_has_full_buckets_and_hangs_below_the_root() -> None:
    one = made()
    assert (one.tokens, one.room, one.parent, one.depth) == (500, 500, None, 1)
    assert [above.name for above in one.path] == ["a", ""]
    child = Class("b", one, 1, None, 255, 0, 10.0)
    assert (child.parent, child.depth, child.room) == ("a", 2, INFINITE)
    assert [above.name for above in child.groups] == ["a", ""]


def test_a_leaf_holds_a_turn_more_than_its_burst() -> None:
    one = Class("a", None, 1000, 2000, 500, 0, 0.0, turn=300.0)
    assert (one.tokens, one.room) == (800, 500)


def test_buckets_fill_with_time_and_hold_no_more_than_the_burst() -> None:
    one = made()
    one.tokens, one.room = -100.0, -200.0
    one.fill(10.25)
    assert (one.tokens, one.room) == (150, 300)
    one.fill(1e9)
    assert (one.tokens, one.room) == (500, 500)


def test_a_small_burst_still_holds_what_ten_milliseconds_bring() -> None:
    one = made(rate=10**6, ceil=10**7, burst=255)
    assert (one.tokens, one.room) == (10**4, 10**5)


def test_a_level_is_json_and_goes_on_in_another_process() -> None:
    one = made()
    one.tokens, one.room, one.bytes, one.requests, one.borrowed, one.waits = -20.0, 30.0, 7, 6, 5, 4
    level = json.loads(json.dumps(one.level()))
    other = made(now=10.1)
    other.resume(level, 10.1)
    assert (other.tokens, other.room) == pytest.approx((80, 230))
    assert (other.bytes, other.requests, other.borrowed, other.waits) == (7, 6, 5, 4)


def test_a_smaller_burst_takes_what_is_too_much() -> None:
    level = made(burst=5000).level()
    other = made(burst=300)
    other.resume(level, 10.0)
    assert (other.tokens, other.room) == (300, 300)


def test_a_level_of_another_boot_is_no_reason_to_wait() -> None:
    level = {**made(now=1e6).level(), "tokens": -254.0, "room": -1e15}
    other = made(now=5.0)
    other.resume(level, 5.0)
    assert (other.at, other.tokens, other.room) == (5.0, -254, -255)


def test_a_limit_that_is_new_starts_full_and_one_that_is_gone_is_gone() -> None:
    unlimited, limited = made(ceil=None), made()
    assert unlimited.level()["room"] is None
    limited.resume(unlimited.level(), 10.0)
    unlimited.resume({**limited.level(), "room": 3.0}, 10.0)
    assert (limited.room, unlimited.room) == (500, INFINITE)


VALUES = st.one_of(st.none(), st.booleans(), st.text(), st.integers(), st.floats(), st.lists(st.integers()))


@given(st.dictionaries(st.sampled_from(["at", "tokens", "room", "ceil", "bytes", "waits"]), VALUES))
def test_any_level_leaves_buckets_that_fill_in_time(level: dict[str, Any]) -> None:
    one = made()
    one.resume(level, 10.0)
    assert -500 <= one.tokens <= 500
    assert -255 <= one.room <= 500
    one.fill(12.0)
    assert (one.tokens, one.room) == (500, 500)
    assert isinstance(one.bytes, int)
    assert one.bytes >= 0
