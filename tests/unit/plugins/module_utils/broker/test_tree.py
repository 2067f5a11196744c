# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of classes: who is served when, on a clock of its own. What holds for every tree is in the properties."""

from __future__ import annotations

import json

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Flow, Tree
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.simulation import Guest, Host

PLENTY = 10**6
THREE_TO_ONE = [ClassConfig("gold", rate=3072), ClassConfig("iron", rate=1024)]


def quiet(dummy_flow: Flow, dummy_size: int) -> int:
    return 0


def test_without_limits_all_is_served_at_once() -> None:
    tree = Tree([ClassConfig("a", rate=1), ClassConfig("b", rate=1)], None, 0.0)
    flows = [tree.flow(name, name) for name in "abab"]
    served: list[tuple[str, int]] = []

    def deliver(flow: Flow, size: int) -> int:
        served.append((flow.owner, size))
        return 0

    for flow in flows:
        tree.ask(flow, 255)
    assert [one.waiting for one in tree.classes.values()] == [2, 2]
    assert tree.serve(0.0, PLENTY, deliver) is None
    assert sorted(served) == [("a", 255)] * 2 + [("b", 255)] * 2
    assert [(one.bytes, one.requests, one.waiting, one.waits) for one in tree.classes.values()] == [(510, 2, 0, 0)] * 2
    assert (tree.root.bytes, tree.root.requests) == (1020, 4)


@pytest.mark.parametrize("sizes", [((64,), (64,)), ((255,), (1,)), ((1, 255, 30), (64, 255)), ((16,), (255,))])
@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("source", [300.0, 4000.0, 50000.0])
def test_a_source_is_shared_by_three_to_one(
    sizes: tuple[tuple[int, ...], tuple[int, ...]], ahead: bool, source: float
) -> None:
    guests = [
        Guest(name, size, ahead=ahead) for name, size in zip(("gold", "iron"), sizes, strict=True) for dummy in range(9)
    ]
    host = Host(THREE_TO_ONE, guests, None, source)
    host.run(60 * 1000 / source, step=20 / source, longest=20 / source)
    total = host.given(6000 / source)
    assert total["gold"] / total["iron"] == pytest.approx(3, rel=0.05)
    assert sum(host.given().values()) == pytest.approx(60000, abs=600)


def test_the_share_of_an_idle_sibling_is_used_in_full_and_given_back_at_once() -> None:
    asleep = Guest("gold", busy=lambda now: now >= 1010)
    host = Host(THREE_TO_ONE, [asleep, Guest("gold", busy=asleep.busy), Guest("iron", (255,))], 4096)
    host.run(20)
    assert host.given(1, 10)["iron"] == pytest.approx(4096 * 9, rel=0.02)
    assert host.given(10, 20)["gold"] >= 3072 * 10
    assert host.given(11, 20)["iron"] == pytest.approx(1024 * 9, rel=0.04)
    assert host.tree.classes["iron"].borrowed == pytest.approx(3072 * 10, rel=0.1)
    assert host.tree.classes["gold"].borrowed == pytest.approx(0, abs=1024)


@pytest.mark.parametrize("ceil", [70, 1024, 5000, 10**6, 50 * 10**6])
@pytest.mark.parametrize("step", [0.0, 0.001, 0.01])
def test_shaping_is_exact_after_the_burst(ceil: int, step: float) -> None:
    """Also of a loop that wakes up late, as epoll counts in milliseconds."""
    one = ClassConfig("a", rate=64, ceil=ceil, burst=255)
    tree = Tree([one], None, 5.0)
    flow = tree.flow("a", None)
    tree.ask(flow, 255)
    now = start = 5.0
    burst = None
    seconds = 40000 / ceil if ceil < 4000 else 10.0 if ceil < 10**6 else 1.0
    passes = 0
    while now < start + seconds:
        delay = tree.serve(now, PLENTY, lambda flow, size: size)
        burst = tree.root.bytes if burst is None else burst
        assert delay is not None
        passes += 1
        now += max(delay, step)
    assert tree.root.bytes - burst == pytest.approx(ceil * seconds, rel=0.02)
    assert passes <= (tree.root.bytes - burst) / 255 + 2  # it does not wake up in vain


def test_who_comes_first_by_priority_borrows_first_and_takes_no_guarantee() -> None:
    classes = [ClassConfig("low", rate=500, priority=7), ClassConfig("high", rate=500, priority=1)]
    host = Host(classes, [Guest("low"), Guest("high", (255,))], 4000)
    host.run(20)
    assert host.given(5, 20)["low"] == pytest.approx(500 * 15, rel=0.02)
    assert host.given(5, 20)["high"] == pytest.approx(3500 * 15, rel=0.02)


def test_the_nearest_lender_is_asked_first() -> None:
    classes = [
        ClassConfig("p", rate=3000),
        ClassConfig("a", "p", rate=100, priority=7),
        ClassConfig("b", rate=100, priority=0),
    ]
    host = Host(classes, [Guest("a"), Guest("b")], 4000)
    host.run(20)
    assert host.given(5, 20)["a"] == pytest.approx(3000 * 15, rel=0.02)
    assert host.given(5, 20)["b"] == pytest.approx(1000 * 15, rel=0.02)


def test_leaves_below_a_ceiling_share_it_in_proportion_beside_one_without() -> None:
    classes = [
        ClassConfig("p", rate=1000, ceil=2000),
        ClassConfig("a", "p", rate=750),
        ClassConfig("b", "p", rate=250),
        ClassConfig("c", rate=9000),
    ]
    host = Host(classes, [Guest("a", (255,)), Guest("b"), Guest("c")], None, 40000.0)
    host.run(30)
    given = host.given(5, 30)
    assert (given["a"], given["b"]) == (pytest.approx(1500 * 25, rel=0.03), pytest.approx(500 * 25, rel=0.03))
    assert given["c"] == pytest.approx(38000 * 25, rel=0.03)


@pytest.mark.parametrize("ahead", [True, False])
def test_flows_of_a_leaf_get_the_same_whatever_they_ask_for(ahead: bool) -> None:
    guests = [Guest("a", sizes, ahead=ahead) for sizes in ((255,), (64,), (1,), (7, 200), (16,))]
    host = Host([ClassConfig("a", rate=2000, ceil=2000)], guests)
    host.run(60)
    assert [guest.bytes for guest in guests] == [pytest.approx(2000 * 60 / 5, rel=0.05)] * 5


def test_a_request_that_is_larger_than_what_is_there_is_not_passed_over() -> None:
    tree = Tree([ClassConfig("a")], None, 0.0)
    large, small = tree.flow("a", "large"), tree.flow("a", "small")
    tree.ask(large, 200)
    tree.ask(small, 10)
    assert tree.serve(0.0, 199, quiet) is None
    assert tree.root.bytes == 0
    assert tree.serve(1.0, 200, quiet) is None
    assert (tree.root.bytes, tree.classes["a"].waiting) == (200, 1)
    assert tree.serve(2.0, 10, quiet) is None
    assert (tree.root.bytes, tree.classes["a"].waits) == (210, 2)


def test_nothing_to_do_is_no_reason_to_wake_up() -> None:
    tree = Tree([ClassConfig("a", rate=255, ceil=255, burst=255)], None, 0.0)
    assert tree.serve(0.0, PLENTY, quiet) is None
    flow = tree.flow("a", None)
    tree.ask(flow, 255)
    assert tree.serve(0.0, PLENTY, lambda dummy_flow, size: size) == pytest.approx(1 / 255, rel=1e-3)
    assert tree.serve(0.0, 0, quiet) is not None
    tree.withdraw(flow)
    assert tree.serve(0.0, PLENTY, quiet) is None
    tree.ask(flow, 1)
    assert tree.serve(0.001, PLENTY, quiet) == pytest.approx(1 / 255 - 0.001, rel=1e-2)


def test_a_clock_that_goes_back_stands_still() -> None:
    tree = Tree([ClassConfig("a", rate=100, ceil=100, burst=255)], None, 100.0)
    flow = tree.flow("a", None)
    tree.ask(flow, 255)
    tree.serve(100.0, PLENTY, lambda dummy_flow, size: size)
    served = tree.root.bytes
    for now in (50.0, 0.0, -1e9, 100.0):
        delay = tree.serve(now, PLENTY, lambda dummy_flow, size: size)
        assert delay is not None
        assert 0 < delay < 3
    assert tree.root.bytes == served
    tree.serve(103.0, PLENTY, quiet)
    assert tree.root.bytes > served


@pytest.mark.parametrize("rate", [1, 10**12])
def test_the_smallest_and_the_largest_rate_serve_the_largest_request(rate: int) -> None:
    one = ClassConfig("a", rate=rate, ceil=rate, burst=255)
    tree = Tree([one], rate, 1e6)
    flow = tree.flow("a", None)
    now = 1e6
    for dummy in range(50):
        tree.ask(flow, 255)
        delay = tree.serve(now, 255, quiet)
        if delay is not None:
            now += delay
    assert tree.root.requests >= 25
    assert (now - 1e6) * rate <= 255 * 50


def test_a_small_class_beside_a_giant_is_not_forgotten() -> None:
    host = Host([ClassConfig("giant", rate=10**12), ClassConfig("tiny", rate=1)], [Guest("giant"), Guest("tiny")])
    host.source = 10**5
    host.run(20, step=0.01, longest=0.01)
    assert host.given()["tiny"] >= 64
    assert host.given()["giant"] >= 1.9 * 10**6


def test_clients_that_leave_in_the_middle() -> None:
    tree = Tree([ClassConfig("a"), ClassConfig("b")], None, 0.0)
    flows = [tree.flow(name, name) for name in "aabb"]
    told: list[Flow] = []

    def deliver(flow: Flow, size: int) -> int:
        told.append(flow)
        if len(told) == 1:
            for other in flows:
                tree.leave(other)
                tree.leave(other)
            tree.ask(flow, 9)
        return size

    for flow in flows:
        tree.ask(flow, 64)
    assert tree.serve(0.0, PLENTY, deliver) is None
    assert len(told) == 1
    assert [one.waiting for one in tree.classes.values()] == [0, 0]
    assert tree.root.bytes == 64


def test_requests_that_come_and_go_while_others_are_served() -> None:
    tree = Tree([ClassConfig("a"), ClassConfig("b")], None, 0.0)
    one, two, three = tree.flow("a", 1), tree.flow("b", 2), tree.flow("b", 3)
    told: list[int] = []

    def deliver(flow: Flow, dummy_size: int) -> int:
        told.append(flow.owner)
        if told == [1]:
            tree.ask(three, 7)
            tree.ask(one, 5)  # asks again by itself, and by what is returned: that is one request
            tree.withdraw(two)
            return 5
        return 0

    tree.ask(one, 64)
    tree.ask(one, 65)
    tree.serve(0.0, PLENTY, deliver)
    assert told == [1, 3, 1] or told == [1, 1, 3]
    assert tree.root.bytes == 65 + 7 + 5


def test_what_was_not_delivered_costs_nothing() -> None:
    tree = Tree([ClassConfig("a", rate=64, ceil=64, burst=255)], None, 0.0)
    flows = [tree.flow("a", None) for dummy in range(3)]
    for flow in flows:
        tree.ask(flow, 255)
    assert tree.serve(0.0, 255, lambda dummy_flow, dummy_size: -1) is None
    assert (tree.root.bytes, tree.root.requests, tree.classes["a"].waiting) == (0, 0, 0)
    assert tree.classes["a"].room == 255


def test_a_fault_in_delivery_does_not_lose_the_others() -> None:
    tree = Tree([ClassConfig("a")], None, 0.0)
    for dummy in range(2):
        tree.ask(tree.flow("a", None), 64)

    def deliver(dummy_flow: Flow, dummy_size: int) -> int:
        raise OSError

    with pytest.raises(OSError, match=r"^$"):
        tree.serve(0.0, PLENTY, deliver)
    tree.serve(0.0, PLENTY, quiet)
    assert (tree.root.requests, tree.classes["a"].waiting) == (1, 0)


def test_levels_go_on_in_another_process_as_if_nothing_had_happened() -> None:
    classes = [ClassConfig("p", rate=500, ceil=800), ClassConfig("a", "p", rate=100, burst=600)]
    host = Host(classes, [Guest("a", (255,))], 1000)
    host.run(3)
    levels = json.loads(json.dumps(host.tree.levels()))
    other = Tree(classes, 1000, host.now, levels)
    assert Tree(classes, 1000, host.now, other.levels()).levels() == other.levels()
    for name, one in other.classes.items():
        host.tree.classes[name].fill(host.now)
        assert (one.tokens, one.room) == (host.tree.classes[name].tokens, host.tree.classes[name].room)
    assert other.classes["a"].borrowed == host.tree.classes["a"].borrowed > 0
    flow = other.flow("a", None)
    other.ask(flow, 255)
    delay = other.serve(host.now, PLENTY, lambda dummy_flow, size: size)
    assert delay is not None
    assert other.root.bytes - host.tree.root.bytes <= 255


def test_levels_of_whatever_kind_are_no_error() -> None:
    tree = Tree([ClassConfig("a")], 1000, 0.0, json.loads('{"a": [], "": {"at": "x", "room": 1e400}, "z": {}}'))
    assert tree.classes["a"].tokens > 0


def test_other_classes_keep_levels_counters_and_flows() -> None:
    host = Host([ClassConfig("a", rate=100, ceil=100), ClassConfig("b")], [Guest("a"), Guest("b")])
    host.run(5)
    host.tree.classes["a"].fill(host.now)
    served, tokens = host.tree.classes["a"].bytes, host.tree.classes["a"].tokens
    host.tree.replace([ClassConfig("p", rate=500), ClassConfig("a", "p", rate=200, ceil=200)], 1000, host.now)
    assert list(host.tree.classes) == ["p", "a", "b"]
    assert (host.tree.classes["a"].bytes, host.tree.classes["a"].tokens) == (served, tokens)
    assert host.tree.classes["a"].waiting == 1
    host.run(10)
    assert host.given(5, 15)["a"] == pytest.approx(200 * 10, rel=0.2)


def test_a_class_that_vanished_stays_until_its_last_client_is_gone() -> None:
    tree = Tree([ClassConfig("a", ceil=1000, rate=500)], None, 0.0)
    flows = [tree.flow("a", None) for dummy in range(2)]
    tree.ask(flows[0], 64)
    tree.replace([ClassConfig("b")], None, 0.0)
    orphan = tree.classes["a"]
    assert (orphan.rate, orphan.ceil, orphan.parent, orphan.waiting) == (64, 1000, None, 1)
    assert tree.serve(1.0, PLENTY, quiet) is None
    assert tree.root.bytes == 64
    tree.leave(flows[0])
    assert "a" in tree.classes
    tree.replace([ClassConfig("b"), ClassConfig("a", rate=7)], None, 2.0)
    assert (tree.classes["a"].rate, tree.classes["a"].bytes, flows[1].leaf) == (7, 64, tree.classes["a"])
    tree.replace([ClassConfig("b")], None, 2.0)
    tree.leave(flows[1])
    assert list(tree.classes) == ["b"]


def test_clients_of_a_class_that_has_children_now_wait_beside_it() -> None:
    tree = Tree([ClassConfig("a", ceil=1000)], None, 0.0)
    flow = tree.flow("a", None)
    tree.replace([ClassConfig("a"), ClassConfig("b", "a")], None, 0.0)
    assert flow.leaf is tree.classes["a~"]
    tree.ask(flow, 64)
    tree.serve(0.0, PLENTY, quiet)
    assert (tree.classes["a~"].bytes, tree.classes["a"].bytes) == (64, 0)
    tree.replace([ClassConfig("a")], None, 0.0)
    assert flow.leaf is tree.classes["a"]
    assert list(tree.classes) == ["a"]


def test_a_client_of_a_class_that_never_was_is_no_error() -> None:
    tree = Tree([], 1000, 0.0)
    flow = tree.flow("lost", None)
    tree.ask(flow, 255)
    tree.serve(0.0, PLENTY, quiet)
    assert tree.classes["lost"].bytes == 255
    tree.leave(flow)
    assert tree.classes == {}
