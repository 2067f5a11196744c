# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tree of classes promises, as properties of simulated hosts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.bucket import LARGEST_REQUEST, Class
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.simulation import (
    Guest,
    Host,
    busy_guests,
    leaves,
    trees,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

few = settings(max_examples=15, phases=[Phase.explicit, Phase.generate])  # to shrink a simulation takes too long
INFINITE = float("inf")


def by_turns(period: float, offset: float) -> object:
    return lambda now: (now + offset) % period < period / 2


def slack(host: Host) -> float:
    """Bytes by which a long-run promise may be missed: all that buckets can hold and owe."""
    return sum(one.burst + LARGEST_REQUEST for one in (host.tree.root, *host.tree.classes.values()))


@few
@given(trees(), st.sampled_from([None, 700.0, 9000.0]), st.sampled_from([0.003, 0.02, 0.4]))
def test_no_class_is_above_its_ceiling_in_any_window(
    tree: tuple[list[ClassConfig], int | None], source: float | None, longest: float
) -> None:
    classes, rate = tree
    guests = [
        Guest(one.name, sizes, by_turns(period, offset), ahead)
        for one in leaves(classes)
        for sizes, period, offset, ahead in (((255,), 0.9, 0.0, True), ((64, 1), 3.1, 1.0, False), ((255,), 9, 3, True))
    ]
    host = Host(classes, guests, rate, source)
    host.run(5.0, longest=longest)
    assert host.granted
    for one in (host.tree.root, *host.tree.classes.values()):
        if one.ceil is not None:
            assert host.excess(one) <= max(one.burst, 255, one.ceil / 100) + LARGEST_REQUEST


@few
@given(trees(), st.integers(0, 5))
def test_guarantees_hold_while_others_take_what_they_can(
    tree: tuple[list[ClassConfig], int | None], steady: int
) -> None:
    classes, rate = tree
    last = leaves(classes)
    one = last[steady % len(last)]
    rest = [other.name for other in last if other is not one]
    guests = [Guest(one.name, (64, 255))] + [
        Guest(name, sizes, by_turns(period, offset))
        for name in rest
        for sizes, period, offset in (((255,), 0.7, 0.1), ((64,), 5, 2), ((255, 8), 1e9, 0))
    ]
    host = Host(classes, guests, rate)
    host.run(10.0)
    assert host.given()[one.name] >= one.rate * 10 - slack(host)
    late = host.given(5, 10)[one.name]
    assert late >= one.rate * 5 - slack(host)


@few
@given(trees())
def test_all_guarantees_hold_at_once(tree: tuple[list[ClassConfig], int | None]) -> None:
    classes, rate = tree
    host = Host(classes, busy_guests(classes), rate)
    host.run(20.0)
    given_bytes = host.given()
    for one in leaves(classes):
        assert given_bytes[one.name] >= one.rate * 20 * 0.98 - LARGEST_REQUEST


@few
@given(trees(), st.sampled_from([0.05, 0.3, 0.9]))
def test_a_source_that_is_too_slow_is_shared_in_proportion(
    tree: tuple[list[ClassConfig], int | None], part: float
) -> None:
    classes, rate = tree
    promised = sum(one.rate for one in leaves(classes))
    host = Host(classes, busy_guests(classes), rate, source=promised * part)
    seconds = 120_000 / (promised * part)  # so that the share of the smallest is some requests
    host.run(seconds, step=seconds / 3000, longest=seconds / 3000)
    given_bytes = host.given(seconds / 10)
    total = sum(given_bytes.values())
    for one in leaves(classes):
        assert given_bytes[one.name] / total == pytest.approx(one.rate / promised, rel=0.04, abs=600 / total)


def capacity(one: Class, classes: dict[str, Class]) -> float:
    """The least of all cuts between the source and the guests below a class."""
    inner = [capacity(child, classes) for child in classes.values() if child.above is one]
    return min(INFINITE if one.ceil is None else one.ceil, sum(inner) if inner else INFINITE)


@few
@given(trees(), st.integers(1, 63))
def test_nothing_is_withheld_that_someone_may_have(tree: tuple[list[ClassConfig], int | None], mask: int) -> None:
    classes, rate = tree
    busy = [one for number, one in enumerate(leaves(classes)) if mask >> number & 1] or leaves(classes)[:1]
    source = 20000.0
    host = Host(classes, [Guest(one.name, (64, 3, 255)) for one in busy], rate, source)
    for one in leaves(classes):
        if one not in busy:
            host.tree.classes[one.name].ceil = 0  # nobody is there who could take it
    most = min(capacity(host.tree.root, host.tree.classes), source)
    for one in leaves(classes):
        host.tree.classes[one.name].ceil = one.ceil
    host.run(12.0, step=0.002)
    assert sum(host.given(2, 12).values()) >= most * 10 * 0.98 - 300


@few
@given(trees(), st.one_of(st.none(), st.sampled_from([500.0, 3000.0])))
def test_nobody_starves(tree: tuple[list[ClassConfig], int | None], source: float | None) -> None:
    classes, rate = tree
    guests = busy_guests(classes)
    promised = sum(one.rate for one in leaves(classes))
    usual = {one.name: one.rate * min(1.0, (source or promised) / promised) for one in leaves(classes)}
    host = Host(classes, guests, rate, source)
    seconds = 20 * LARGEST_REQUEST / min(usual.values())
    host.run(seconds, step=seconds / 3000, longest=seconds / 3000)
    for guest in guests:
        times = [host.start, *guest.served, host.now]
        waits = [after - before for before, after in pairwise(times)]
        # Two guests are in a class, and each has to wait until what both had before is paid.
        assert max(waits) <= 6 * LARGEST_REQUEST / usual[guest.class_name] + slack(host) / (source or promised)


@few
@given(trees(1, 40))
def test_the_delay_is_when_something_happens(tree: tuple[list[ClassConfig], int | None]) -> None:
    classes, rate = tree
    host = Host(classes, busy_guests(classes), rate)
    for one in host.tree.classes.values():
        one.room = min(one.room, INFINITE if one.ceil is None else 100.0)
    idle = 0
    for dummy in range(300):
        before = len(host.granted)
        delay = host.turn()
        idle = 0 if len(host.granted) > before else idle + 1
        assert idle <= len(host.flows) // 2  # others took it, one by one
        if delay is None:
            break
        assert delay >= 1e-6
        tree_before = len(host.granted)
        if delay > 1e-4:
            host.tree.serve(host.now + delay * 0.99, 10**5, host.deliver)
            assert len(host.granted) == tree_before  # it could not have been earlier
        host.now += delay
