# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A class of the tree: its two token buckets, what it was granted, and the queue of those that wait in it.

``tokens`` are bytes of the guarantee, ``room`` are bytes below the ceiling. A bucket lets a request pass while there is
a byte in it, whatever the request's size, and may then owe up to 254 bytes: so no size has to wait for a bucket that
can never hold it. Buckets fill when somebody looks at them, not by a timer.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Tuple

INFINITE = float("inf")
LARGEST_REQUEST = 255
# However small a burst was chosen, a loop that looks only every 10 ms can still give out all of a rate.
SLACK = 0.01
IDLE, QUEUED, LEFT = 0, 1, 2  # of a flow
COUNTERS = ("bytes", "requests", "borrowed", "waits")


class Flow:
    """One client: the size of its request at the head, and how far it is in its leaf's round."""

    __slots__ = ("asked", "class_name", "credit", "leaf", "owner", "round", "size", "state")

    def __init__(self, class_name: str, leaf: Class, owner: Any) -> None:
        self.class_name = class_name  # the one it is meant for; its leaf is another while that is not there
        self.leaf = leaf
        self.owner = owner
        self.state = IDLE
        self.size = 0
        self.credit = LARGEST_REQUEST
        self.round = 0
        self.asked = 0  # the pass in which its request arrived


class Class:
    """A class; those without children (leaves) have flows. ``ceil`` None: no limit. ``parent`` None: only the root.

    :param turn: bytes of a leaf's quantum among the other leaves.
    """

    __slots__ = (
        *("above", "at", "borrowed", "burst", "bytes", "ceil", "current", "depth", "flows", "following", "groups"),
        *("name", "offsets", "orphan", "parent", "path", "placed", "priority", "rate", "requests", "room"),
        *("room_burst", "round", "rounds", "token_burst", "tokens", "turn", "turns", "waits"),
    )

    def __init__(
        self,
        name: str,
        above: Optional[Class],
        rate: float,
        ceil: Optional[int],
        burst: int,
        priority: int,
        now: float,
        turn: float = 0.0,
        orphan: bool = False,
    ) -> None:
        self.name = name
        self.above = above
        self.parent = above.name if above is not None and above.above is not None else None
        self.depth: int = 0 if above is None else above.depth + 1
        self.rate = rate
        self.ceil = ceil
        self.burst = burst
        self.priority = priority
        self.orphan = orphan
        # A turn more than the burst, so that what a leaf earns while its equals have their turns is not lost.
        self.token_burst: float = INFINITE if rate == INFINITE else self._most(rate) + turn
        self.tokens = self.token_burst
        self.room_burst: float = INFINITE if ceil is None else self._most(ceil)
        self.room = self.room_burst
        self.at = now  # when the buckets were filled
        self.path: Tuple[Class, ...] = (self,) if above is None else (self, *above.path)
        # Those with a ceiling of their own fall behind together, so places in the round are counted in each of them.
        self.groups = tuple(one for one in self.path[1:] if one.ceil is not None or one.above is None)
        self.rounds: List[float] = []  # by queue of the tree: how far those below are
        self.offsets: List[float] = []  # by queue: what makes a place in this group one in the next outer group
        self.bytes = self.requests = self.borrowed = self.waits = 0
        # Of a leaf only.
        self.flows: Dict[Flow, None] = {}
        self.current: Deque[Flow] = deque()  # have credit in this round
        self.following: Deque[Flow] = deque()  # have to wait for the next one
        self.round = 0
        self.turn = turn  # bytes of its quantum among the other leaves
        self.turns: List[float] = []  # by level: the round in which it may send again
        self.placed = False  # it is in a queue of the tree

    def _most(self, rate: float) -> float:
        return max(float(self.burst), LARGEST_REQUEST, rate * SLACK)

    @property
    def waiting(self) -> int:
        """Flows that have a request which is not served."""
        return len(self.current) + len(self.following)

    def fill(self, now: float) -> None:
        """Put into the buckets what the time since the last look brought."""
        elapsed = now - self.at
        self.at = now
        if self.rate != INFINITE:
            self.tokens = min(self.tokens + elapsed * self.rate, self.token_burst)
        if self.ceil is not None:
            self.room = min(self.room + elapsed * self.ceil, self.room_burst)

    def level(self) -> Dict[str, Any]:
        """What another process, or another class of this name, has to know to go on."""
        return {
            "at": self.at,
            "tokens": None if self.rate == INFINITE else self.tokens,
            "room": None if self.ceil is None else self.room,
            "ceil": self.ceil,
            **{name: getattr(self, name) for name in COUNTERS},
        }

    def resume(self, level: Mapping[str, Any], now: float) -> None:
        """Go on from a level; what does not make sense in it is as in a new class. No bucket holds more than its burst.

        A bucket may owe no more than it holds, or than a class with a smaller burst could have owed.
        """
        for name in COUNTERS:
            counted = level.get(name)
            if isinstance(counted, int) and not isinstance(counted, bool) and counted >= 0:
                setattr(self, name, counted)
        at, tokens, room = _number(level.get("at")), _number(level.get("tokens")), _number(level.get("room"))
        self.at = now if at is None else min(now, at)
        if tokens is not None and self.rate != INFINITE:
            self.tokens = max(min(tokens, self.token_burst), -self.token_burst)
        if room is not None and self.ceil is not None:
            self.room = max(min(room, self.room_burst), -float(LARGEST_REQUEST))
        self.fill(now)


def _number(value: object) -> Optional[float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 10**18:
        return float(value)
    return None
