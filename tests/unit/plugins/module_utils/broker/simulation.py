# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with guests on a clock of its own: what the tree of the broker gives to whom, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle

from ansible_collections.fleet.rng.plugins.module_utils.broker.bucket import Class
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Flow, Tree
from hypothesis import strategies as st

POOL = 4096  # bytes that are read ahead


@dataclass(eq=False)
class Guest:
    """Asks for random bytes whenever ``busy`` says so; with ``ahead`` it asks again before it has its answer."""

    class_name: str
    sizes: Iterable[int] = (64,)
    busy: Callable[[float], bool] = lambda now: True
    ahead: bool = True
    bytes: int = 0
    served: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.next = cycle(self.sizes)


class Host:
    """Classes, guests and a source of ``source`` bytes per second (None: as much as is wanted)."""

    def __init__(
        self,
        classes: Sequence[ClassConfig],
        guests: Sequence[Guest],
        rate: int | None = None,
        source: float | None = None,
        start: float = 1000.0,
    ) -> None:
        self.tree = Tree(classes, rate, start)
        self.start = self.now = start
        self.guests = guests
        self.flows = [self.tree.flow(guest.class_name, guest) for guest in guests]
        self.source = source
        self.pool = 0.0
        self.granted: list[tuple[float, str, int]] = []  # when, to which leaf, how much
        self.delays: list[float | None] = []

    def run(self, seconds: float, step: float = 0.005, longest: float = 0.02) -> None:
        """Let time pass: as long as the tree says that nothing can happen, but no longer than ``longest``."""
        end = self.now + seconds
        while self.now < end:
            delay = self.turn()
            passed = min(step if delay is None else delay, longest, end - self.now)
            before, self.now = self.now, self.now + passed
            if self.source is not None:
                self.pool = min(self.pool + (self.now - before) * self.source, POOL)

    def turn(self) -> float | None:
        for flow in self.flows:
            if flow.owner.busy(self.now) and not flow.state:
                self.tree.ask(flow, next(flow.owner.next))
        available = POOL if self.source is None else int(self.pool)
        delay = self.tree.serve(self.now, available, self.deliver)
        self.delays.append(delay)
        return delay

    def deliver(self, flow: Flow, size: int) -> int:
        guest: Guest = flow.owner
        guest.bytes += size
        guest.served.append(self.now)
        self.pool -= size
        self.granted.append((self.now, flow.leaf.name, size))
        return next(guest.next) if guest.ahead and guest.busy(self.now) else 0

    def given(self, since: float = 0.0, until: float = 1e9) -> Counter[str]:
        """Bytes by leaf, between two times that count from the start."""
        totals: Counter[str] = Counter()
        for when, name, size in self.granted:
            if since <= when - self.start < until:
                totals[name] += size
        return totals

    def excess(self, one: Class) -> float:
        """By how many bytes what a class was granted was above its ceiling, in the worst of all windows of time."""
        level = worst = 0.0
        last = self.start
        for when, name, size in self.granted:
            if one in self.tree.classes.get(name, self.tree.root).path:
                level = max(level - (when - last) * (one.ceil or 0), 0.0) + size
                last = when
                worst = max(worst, level)
        return worst


@st.composite
def trees(draw: st.DrawFn, low: int = 100, high: int = 1500) -> tuple[list[ClassConfig], int | None]:
    """Classes whose promises fit into each other, up to three deep, and the rate of their host.

    Bursts are not below the usual one: where a ceiling is the rate, a bucket for one request loses a few percent of it.
    """
    numbers = count()
    found: list[ClassConfig] = []

    def one(parent: str | None, depth: int) -> int:
        name = f"c{next(numbers)}"
        inner = draw(st.integers(0, (3, 2, 0)[depth]))
        rate = sum(one(name, depth + 1) for dummy in range(inner))
        rate = rate + draw(st.sampled_from([0, rate // 3])) if inner else draw(st.integers(low, high))
        ceil = draw(st.one_of(st.none(), st.sampled_from([1.0, 1.3, 4.0])))
        found.append(
            ClassConfig(
                name,
                parent,
                rate,
                None if ceil is None else int(rate * ceil),
                draw(st.integers(512, 1500)),
                draw(st.integers(0, 7)),
            )
        )
        return rate

    promised = sum(one(None, 0) for dummy in range(draw(st.integers(1, 3))))
    return found, draw(st.sampled_from([None, promised, promised * 3 // 2]))


def leaves(classes: Sequence[ClassConfig]) -> list[ClassConfig]:
    parents = {one.parent for one in classes}
    return [one for one in classes if one.name not in parents]


def busy_guests(classes: Sequence[ClassConfig]) -> list[Guest]:
    """Two in each leaf, one of them with large requests and one with all kinds."""
    return [
        Guest(one.name, sizes, ahead=ahead)
        for one in leaves(classes)
        for sizes, ahead in (((255,), True), ((1, 64, 200, 16), False))
    ]
