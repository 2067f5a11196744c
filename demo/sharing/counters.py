# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the broker's counters say about the guests over time. Pure: nothing here asks anybody."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SETTLING = 2.0  # seconds at the beginning of a phase that are not judged: what was read ahead is given out at once
# Wide, for a busy machine's guests ask later than they could: "3 : 1" is 2 to 4.5. What does not share gives 1 : 1, or
# nearly all to one of them.
CLOSE, ALIKE = 1.5, 2.0
NOTHING = 0.03  # of all bytes: an idle guest's kernel still draws a little now and then
MUCH = 0.6  # of what all guests together got before; a group that is held to its guarantee would get a quarter


@dataclass(frozen=True)
class Sample:
    """One look at the broker: Unix time, and the bytes that each guest and the source have given so far."""

    at: float
    guests: Mapping[str, int]
    source: int
    clients: int
    restarts: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Sample:
        """From ``virtrngctl status --json``. A guest with several connections is counted once."""
        guests: dict[str, int] = {}
        for entry in document["guests"]:
            guests[entry["guest"]] = guests.get(entry["guest"], 0) + entry["bytes"]
        source = sum(entry["bytes"] for entry in document["sources"])
        return cls(document["updated"], guests, source, document["clients"], document["restarts"])


@dataclass(frozen=True)
class Phase:
    """A part of the demo in which the same guests are busy: Unix times, and which guests."""

    name: str
    busy: frozenset[str]
    begin: float
    end: float


def rates(samples: Sequence[Sample], guests: Iterable[str]) -> dict[str, list[float]]:
    """Bytes per second of each guest in each second since the first sample.

    Samples come when they can; a second's bytes are those between its ends, on straight lines between the samples.
    """
    times = [sample.at for sample in samples]
    seconds = int(times[-1] - times[0])
    found = {}
    for guest in guests:
        counts = [sample.guests.get(guest, 0) for sample in samples]
        ends = [_at(times, counts, times[0] + second) for second in range(seconds + 1)]
        found[guest] = [after - before for before, after in pairwise(ends)]
    return found


def _at(times: Sequence[float], counts: Sequence[int], when: float) -> float:
    after = bisect_left(times, when)
    if after == 0:
        return counts[0]
    before = after - 1
    part = (when - times[before]) / (times[after] - times[before])
    return counts[before] + part * (counts[after] - counts[before])


@dataclass(frozen=True)
class Share:
    """What each guest got in a phase, the first seconds left out."""

    phase: Phase
    seconds: float
    guests: Mapping[str, int]
    source: int

    def group(self, prefix: str) -> int:
        """Bytes of the guests whose names begin so."""
        return sum(count for name, count in self.guests.items() if name.startswith(prefix))

    @property
    def total(self) -> int:
        """Bytes of all guests."""
        return sum(self.guests.values())

    @property
    def per_second(self) -> float:
        """Bytes per second of all guests."""
        return self.total / self.seconds


def share(samples: Sequence[Sample], phase: Phase) -> Share:
    """Between the first and the last look within the phase. :raises ValueError: there are no two of them."""
    within = [sample for sample in samples if phase.begin + SETTLING <= sample.at <= phase.end]
    if len(within) < 2:
        raise ValueError(f"{phase.name}: the broker was not looked at twice")
    first, last = within[0], within[-1]
    got = {name: count - first.guests.get(name, 0) for name, count in last.guests.items()}
    return Share(phase, last.at - first.at, got, last.source - first.source)


def mistakes(shares: Sequence[Share], gold_to_silver: float) -> list[str]:
    """What is far from what the inventory says; the first phase is the one that others are compared with."""
    wrong = []
    for found in shares:
        name, busy = found.phase.name, found.phase.busy
        gold, silver = found.group("gold"), found.group("silver")
        if any(guest.startswith("gold") for guest in busy) and not _close(gold, silver, gold_to_silver, CLOSE):
            wrong.append(f"{name}: gold has {gold} bytes and silver {silver}, and not {gold_to_silver:g} : 1")
        for guest, count in found.guests.items():
            if guest not in busy and count > NOTHING * found.total:
                wrong.append(f"{name}: {guest} is idle and has {count} of {found.total} bytes")
        for group in ("gold", "silver"):
            alike = [found.guests.get(guest, 0) for guest in busy if guest.startswith(group)]
            if alike and not _close(max(alike), min(alike), 1, ALIKE):
                wrong.append(f"{name}: the guests of {group} have {' and '.join(map(str, sorted(alike)))} bytes")
        if found.per_second < MUCH * shares[0].per_second:
            wrong.append(
                f"{name}: {found.per_second:.0f} bytes a second were given out, and "
                f"{shares[0].per_second:.0f} while all were busy: an idle share was lost"
            )
    return wrong


def _close(one: float, other: float, ratio: float, factor: float) -> bool:
    return other > 0 and ratio / factor <= one / other <= ratio * factor


def unserved(samples: Sequence[Sample], guests: Iterable[str], begin: float, end: float) -> list[str]:
    """The guests that got nothing from one look to the one three later."""
    within = [sample for sample in samples if begin <= sample.at <= end]
    pairs = list(zip(within, within[3:], strict=False))
    if not pairs:
        raise ValueError("the broker was not looked at often enough")
    return [
        guest
        for guest in guests
        if any(later.guests.get(guest, 0) <= earlier.guests.get(guest, 0) for earlier, later in pairs)
    ]
