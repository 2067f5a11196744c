# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is served next: a tree of token buckets with borrowing, and deficit round robin among equals.

Pure: it neither reads a clock nor sends a byte. The rules are those of Linux's packet scheduler HTB, with one
difference, the first.

- No class passes its ceiling, not even for the guarantee of a class below it. As rates of children fit into their
  parent's, and its ceiling is not below its rate, a guarantee is delayed by that, and not lost.
- A leaf with tokens is served before all who borrow, so what others have borrowed just before costs it no more than the
  time of one request. Among these, priority does not count.
- Else a leaf borrows from its nearest ancestor that has tokens. The deeper that ancestor is, the earlier: it lends what
  is promised to its own children. Within that, priority counts.
- Whoever lends pays, and so do all above it, who lent to it; the classes between the leaf and the lender do not, so
  that what they borrowed does not cost them their own guarantee. Each on the way pays with room below its ceiling.
  So an ancestor may owe what its children took as their guarantee, and lends nothing before that is paid.

Equals take turns: a leaf's quantum is proportional to its rate. Rounds are counted as fractions: after ``n`` bytes a
leaf may send again ``n / quantum`` rounds later, and the one whose round comes first is served, so that rounds in which
nobody may send cost no time. A leaf that has nothing to send for a moment keeps its place, as most clients ask again
only when they were answered. Leaves below a ceiling fall behind together while it is reached, so their places are
counted among themselves, and moved as one when they go on. The flows of a leaf take turns with equal quanta.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .bucket import IDLE, INFINITE, LARGEST_REQUEST, LEFT, QUEUED, Class, Flow
from .config import DEFAULT_RATE, ClassConfig, default_burst

__all__ = ["Class", "Flow", "Tree"]

ROOT = ""  # no class is called that
PRIORITIES = 8
QUANTUM = 1024  # bytes of a turn, of the leaf with the highest rate
SMALLEST_SHARE = 1e-4  # of the highest rate: what a leaf counts for at least, so that nobody starves beside a giant
CARRY = 1.0  # rounds that those may catch up who had nothing to send, or were at a ceiling, for a moment
CLOSE = 1e-6  # rounds that are no difference
SOON = 1e-6  # seconds; no wait is shorter
BYTE = 1.0 + 1e-6  # what a bucket waits for that lets pass what it has a byte for: rounding shall not wake it too early

Deliver = Callable[[Flow, int], int]


class Tree:
    """The classes of a host.

    :param classes: as they are configured; their parents may come later.
    :param rate: of the host, in bytes per second; None is no limit.
    :param now: seconds on a clock that does not go back; where it does, time stands still.
    :param levels: what ``levels()`` of another tree returned.
    """

    def __init__(
        self,
        classes: Sequence[ClassConfig],
        rate: Optional[int],
        now: float,
        levels: Optional[Mapping[str, Mapping[str, Any]]] = None,
    ) -> None:
        self.classes: Dict[str, Class] = {}
        self.passes = 1  # the number of this pass, or of the next; a request that came in another has waited
        self._now = now
        self._levels: Dict[str, Mapping[str, Any]] = {}
        for name, level in (levels or {}).items():
            if isinstance(level, dict):
                self._levels[name] = level
        self._build(classes, rate)

    def flow(self, class_name: str, owner: Any) -> Flow:
        """A new flow. If its class is not there, or has children, it gets one of its own, with the least of rates."""
        flow = Flow(class_name, self._home(class_name), owner)
        flow.leaf.flows[flow] = None
        return flow

    def ask(self, flow: Flow, size: int) -> None:
        """Put a flow with a request of ``size`` bytes into its leaf's queue, where it is only once."""
        if flow.state != IDLE:
            if flow.state == QUEUED:
                flow.size = size
            return
        leaf = flow.leaf
        flow.size = size
        flow.state = QUEUED
        flow.asked = self.passes
        behind = leaf.round - flow.round
        if behind > 0:
            flow.round = leaf.round
            flow.credit = min(flow.credit + behind * LARGEST_REQUEST, LARGEST_REQUEST)
        if flow.credit > 0:
            leaf.current.append(flow)
        else:
            flow.credit += LARGEST_REQUEST
            flow.round = leaf.round + 1
            leaf.following.append(flow)
        if not leaf.placed:
            leaf.placed = True
            self._fresh.append(leaf)

    def withdraw(self, flow: Flow) -> None:
        """Forget the flow's request; it may ask again."""
        if flow.state == QUEUED:
            flow.state = IDLE
            leaf = flow.leaf
            try:
                leaf.current.remove(flow)
            except ValueError:
                leaf.following.remove(flow)

    def leave(self, flow: Flow) -> None:
        """Forget the flow: its client is gone."""
        self.withdraw(flow)
        flow.state = LEFT
        leaf = flow.leaf
        leaf.flows.pop(flow, None)
        if leaf.orphan and not leaf.flows and self.classes.get(leaf.name) is leaf:
            del self.classes[leaf.name]

    def serve(self, now: float, available: int, deliver: Deliver) -> Optional[float]:
        """Serve what may be served.

        :param available: bytes that the source has; no more are given out. A request that is larger than the rest of
            them waits for more, and so do all behind it.
        :param deliver: is called with a flow and the size of its request; returns the size of its next one, 0 if there
            is none, and -1 if nothing was delivered.
        :returns: seconds until a limit lets something pass that waits for it; None when nothing waits, or only for the
            source.
        """
        if now < self._now:
            now = self._now
        elif now > self._now:
            self._now = now
            if self._ready & ~1:
                self._look_again()
        sleeping = self._sleeping
        while sleeping and sleeping[0][0] <= now:
            self._place(heappop(sleeping)[2])
        while available > 0:
            while self._fresh:
                self._place(self._fresh.pop())
            if not self._ready:
                break
            taken = self._turn((self._ready & -self._ready).bit_length() - 1, available, deliver)
            if taken is None:
                break
            available -= taken
        self.passes += 1
        if self._ready or self._fresh:
            return None
        while sleeping and not sleeping[0][2].waiting:
            heappop(sleeping)[2].placed = False
        return max(sleeping[0][0] - now, SOON) if sleeping else None

    def levels(self) -> Dict[str, Dict[str, Any]]:
        """All that a new tree needs to go on from here, fit for JSON."""
        return {one.name: one.level() for one in (self.root, *self.classes.values())}

    def replace(self, classes: Sequence[ClassConfig], rate: Optional[int], now: float) -> None:
        """Take other classes. Levels and counters stay by name, and flows go where they belong now."""
        flows = [flow for leaf in self.classes.values() for flow in leaf.flows]
        waiting = [flow for leaf in self.classes.values() for flow in (*leaf.current, *leaf.following)]
        self._levels = dict(self.levels())
        self._now = max(now, self._now)
        self._build(classes, rate)
        for flow in flows:
            flow.leaf = self._home(flow.class_name)
            flow.leaf.flows[flow] = None
            flow.credit, flow.round = LARGEST_REQUEST, 0
        for flow in waiting:
            asked, flow.state = flow.asked, IDLE
            self.ask(flow, flow.size)
            flow.asked = asked

    def _build(self, classes: Sequence[ClassConfig], rate: Optional[int]) -> None:
        self.root = Class(ROOT, None, INFINITE, rate, default_burst(rate or 0), 0, self._now)
        self.root.resume(self._levels.get(ROOT, {}), self._now)
        self.classes = {}
        children: Dict[Optional[str], List[ClassConfig]] = {}
        for one in classes:
            children.setdefault(one.parent, []).append(one)
        self._inner = {name for name in children if name is not None}
        self._highest = max((one.rate for one in classes if one.name not in self._inner), default=1)
        order = [(self.root, one) for one in children.get(None, ())]
        for above, one in order:
            turn = 0.0 if one.name in self._inner else self._quantum(one.rate)
            made = Class(one.name, above, one.rate, one.ceil, one.burst, one.priority, self._now, turn)
            made.resume(self._levels.get(one.name, {}), self._now)
            self.classes[one.name] = made
            order.extend((made, child) for child in children.get(one.name, ()))  # grows while it is walked
        self._depth = max((one.depth for one in self.classes.values()), default=1)
        keys = (self._depth + 1) * PRIORITIES
        for every in (self.root, *self.classes.values()):
            every.turns = [0.0] * (self._depth + 1)
            every.rounds, every.offsets = [0.0] * keys, [0.0] * keys
        # A queue for those on their guarantee, and one for each depth of lenders and each priority, deepest first.
        self._queues: List[List[Tuple[float, int, Class]]] = [[] for dummy in range(keys)]
        self._ready = 0  # a bit for each queue that is not empty
        self._sleeping: List[Tuple[float, int, Class]] = []  # by the time when a limit lets them pass
        self._fresh: List[Class] = []  # got their first request since they were looked at
        self._serial = 0

    def _quantum(self, rate: int) -> float:
        return QUANTUM * max(rate / self._highest, SMALLEST_SHARE)

    def _home(self, class_name: str) -> Class:
        """The leaf of this name, or the orphan that stands for it."""
        if class_name in self.classes and class_name not in self._inner:
            return self.classes[class_name]
        name = class_name + "~" if class_name in self._inner else class_name
        if name not in self.classes:
            level = self._levels.get(name, {})
            ceil = level.get("ceil")
            ceil = ceil if isinstance(ceil, int) and ceil > 0 else None
            rest = (default_burst(DEFAULT_RATE), PRIORITIES - 1, self._now, self._quantum(DEFAULT_RATE), True)
            orphan = Class(name, self.root, DEFAULT_RATE, ceil, *rest)
            orphan.resume(level, self._now)
            orphan.turns = [0.0] * (self._depth + 1)
            self.classes[name] = orphan
        return self.classes[name]

    def _look_again(self) -> None:
        """As time has passed, those who were about to borrow may have tokens of their own now, or a nearer lender."""
        for key in range(1, len(self._queues)):
            if self._queues[key]:
                queue, self._queues[key] = self._queues[key], []
                self._ready &= ~(1 << key)
                for dummy, dummy_serial, leaf in queue:
                    self._place(leaf)

    def _place(self, leaf: Class) -> None:
        """Put a leaf where it belongs now: into a queue, to sleep, or nowhere when nothing waits in it."""
        if leaf.waiting:
            key = self._key(leaf)
            if key >= 0:
                self._push(key, leaf)
        else:
            leaf.placed = False

    def _push(self, key: int, leaf: Class) -> None:
        level = key // PRIORITIES
        group = leaf.groups[0]
        turn = max(leaf.turns[level], group.rounds[key] - CARRY)
        leaf.turns[level] = turn
        for outer in leaf.groups[1:]:
            behind = outer.rounds[key] - CARRY - turn - group.offsets[key]
            if behind > 0:
                group.offsets[key] += behind
            turn += group.offsets[key]
            group = outer
        self._serial += 1
        heappush(self._queues[key], (turn, self._serial, leaf))
        self._ready |= 1 << key

    def _place_of(self, key: int, leaf: Class) -> float:
        turn = leaf.turns[key // PRIORITIES]
        for group in leaf.groups:
            turn += group.offsets[key]
        return turn

    def _reached(self, key: int, leaf: Class) -> None:
        """Note that it is the turn of this leaf."""
        turn = leaf.turns[key // PRIORITIES]
        for group in leaf.groups:
            if turn > group.rounds[key]:
                group.rounds[key] = turn
            turn += group.offsets[key]

    def _key(self, leaf: Class) -> int:
        """The queue in which a leaf belongs; -1: it may not be served now, and sleeps."""
        now = self._now
        wait = INFINITE
        closed = 0.0
        lender = None
        for one in leaf.path:
            if one.at != now:
                one.fill(now)
            if one.room < 1.0:
                closed = max(closed, (BYTE - one.room) / (one.ceil or 1))
            if lender is None:
                if one.tokens >= 1.0:
                    lender = one
                else:
                    wait = min(wait, (BYTE - one.tokens) / one.rate)
        if lender is not None and not closed:
            return 0 if lender is leaf else (self._depth - lender.depth) * PRIORITIES + leaf.priority
        self._serial += 1
        due = now + max(closed, 0.0 if lender is not None else wait, SOON)
        heappush(self._sleeping, (due, self._serial, leaf))
        return -1

    def _turn(self, key: int, available: int, deliver: Deliver) -> Optional[int]:
        """Serve the first leaf of a queue for one turn. None: its next request is larger than what is there."""
        queue = self._queues[key]
        turn, dummy, leaf = heappop(queue)
        if not queue:
            self._ready &= ~(1 << key)
        if not leaf.waiting:
            leaf.placed = False
            return 0
        where = self._key(leaf)
        if where != key:  # others took what it would have had
            if where >= 0:
                self._push(where, leaf)
            return 0
        if queue and self._place_of(key, leaf) > turn + CLOSE:  # its group was moved since
            self._push(key, leaf)
            return 0
        self._reached(key, leaf)
        level = key // PRIORITIES
        lender = leaf.depth if not key else self._depth - level
        path = leaf.path
        budget = min(leaf.path[leaf.depth - lender].tokens, *[one.room for one in path])
        if queue:
            budget = min(budget, max(leaf.turn, LARGEST_REQUEST))
        try:
            taken, count, waits, short = self._flows(leaf, budget, available, deliver)
        except BaseException:
            self._push(key, leaf)  # a fault of one client's must not cost the others of its class their place
            raise
        for number, one in enumerate(path):
            one.bytes += taken
            one.requests += count
            one.room -= taken
            if number >= leaf.depth - lender:
                one.tokens -= taken
            else:
                one.borrowed += taken
        leaf.waits += waits
        leaf.turns[level] += taken / leaf.turn
        if not queue:
            self._reached(key, leaf)  # nobody was there whom it kept waiting
        if leaf.waiting:
            self._push(key, leaf)
        else:
            leaf.placed = False
        return None if short else taken

    def _flows(self, leaf: Class, budget: float, available: int, deliver: Deliver) -> Tuple[int, int, int, bool]:
        """Serve the flows of a leaf by turns while there is a byte of ``budget``, and ``available`` is enough."""
        passes = self.passes
        current, following = leaf.current, leaf.following
        taken = count = waits = 0
        while budget >= 1.0:
            if not current:
                if not following:
                    break
                leaf.current, leaf.following = current, following = following, current
                leaf.round += 1
            flow = current.popleft()
            size = flow.size
            if size > available - taken:
                current.appendleft(flow)
                return taken, count, waits, True
            waited = flow.asked != passes
            flow.state = IDLE
            more = deliver(flow, size)
            if more < 0:
                continue
            taken += size
            count += 1
            budget -= size
            waits += waited
            flow.credit -= size
            if more and flow.state == IDLE:
                flow.state = QUEUED
                flow.size = more
                flow.asked = passes
                if flow.credit > 0:
                    current.append(flow)
                else:
                    flow.credit += LARGEST_REQUEST
                    flow.round = leaf.round + 1
                    following.append(flow)
        return taken, count, waits, False
