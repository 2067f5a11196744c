# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure by pairs: every round runs all contestants, one right after the other, so that a busy machine slows all.

What is compared is the ratio within a round; what is reported is the median of these ratios.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


class BenchmarkError(Exception):
    """A run failed, or did something else than what is measured."""


@dataclass(frozen=True)
class Sample:
    """One run: how long it took, the processor time of controller and hosts, the largest memory of the controller."""

    seconds: float
    cpu: float = 0.0
    peak_kib: int = 0


@dataclass(frozen=True)
class Contestant:
    """Something to measure. ``before`` puts things back as they were, and is not measured."""

    name: str
    run: Callable[[], Sample]
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Goal:
    """What a number should be at most, or at least."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a number is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table: the number of each round, of which the median counts. ``cpu`` is the same of CPU time."""

    case: str
    what: str
    size: str
    values: Sequence[float]
    cpu: Sequence[float] = ()
    unit: str = ""
    goal: Goal | None = None
    detail: str = ""

    @property
    def value(self) -> float:
        """The median of all rounds."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        values = " ".join(f"{value:.3g}" for value in self.values)
        cpu = f", by CPU time {statistics.median(self.cpu):.3g}" if self.cpu else ""
        return f"{self.what}, {self.size}: {values} {self.unit}{cpu} ({self.detail})"


@dataclass(frozen=True)
class Rounds:
    """The samples of every contestant, one of each per round."""

    samples: dict[str, list[Sample]]

    def each(self, name: str, minus: str = "", measure: str = "seconds") -> list[float]:
        """The number of each round; ``minus`` names a contestant whose number of the same round is taken off."""
        own = [float(getattr(sample, measure)) for sample in self.samples[name]]
        off = [float(getattr(sample, measure)) for sample in self.samples[minus]] if minus else [0.0] * len(own)
        return [one - other for one, other in zip(own, off, strict=True)]

    def median(self, name: str, minus: str = "", measure: str = "seconds") -> float:
        """The median of all rounds."""
        return statistics.median(self.each(name, minus, measure))

    def ratios(self, name: str, other: str, minus: str = "", measure: str = "seconds") -> list[float]:
        """``name`` / ``other`` of each round, both without what ``minus`` took."""
        pairs = zip(self.each(name, minus, measure), self.each(other, minus, measure), strict=True)
        # The difference of two noisy times can come out at nothing or below.
        return [max(one, 0.001) / max(two, 0.001) for one, two in pairs]


def compare(contestants: Sequence[Contestant], rounds: int, warm_up: bool = True) -> Rounds:
    """Run every contestant once per round, in turning order; ``warm_up`` adds a first round that does not count."""
    done = Rounds({contestant.name: [] for contestant in contestants})
    for number in range(0 if warm_up else 1, rounds + 1):
        for contestant in contestants if number % 2 else list(reversed(contestants)):
            contestant.before()
            sample = contestant.run()
            if number:
                done.samples[contestant.name].append(sample)
    return done


def slope(points: Mapping[int, float]) -> float:
    """How much a value grows per unit, by least squares."""
    return statistics.linear_regression(list(points), list(points.values())).slope
