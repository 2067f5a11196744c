# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharing one host's budget among its guests: weighted max-min fairness between a floor and a ceiling each.

Every guest gets its weight times one common level, but never less than its floor nor more than its ceiling; the level
is as high as the budget allows (water-filling). The arithmetic is exact, so the result does not depend on the order
of the guests, and rounding down to what a guest asks for at a time keeps the sum within the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError

Key = TypeVar("Key")  # whatever tells one guest from another


class BudgetError(RngError):
    """The floors of a host's guests do not fit into its budget."""


@dataclass(frozen=True)
class Claim:
    """What one guest may ask for; bytes are per ``period`` milliseconds, ``max_bytes`` None means no ceiling.

    Shares between floor and ceiling are multiples of ``unit`` bytes, and no share is less than one.
    """

    period: int
    weight: int = 1
    min_bytes: int = 0
    max_bytes: int | None = None
    unit: int = 1

    @property
    def floor_bytes(self) -> int:
        return max(self.min_bytes, self.unit if self.max_bytes is None else min(self.unit, self.max_bytes))

    @property
    def floor(self) -> Fraction:
        """Bytes per second."""
        return per_second(self.floor_bytes, self.period)

    @property
    def ceiling(self) -> Fraction | None:
        return None if self.max_bytes is None else per_second(self.max_bytes, self.period)

    def at(self, level: Fraction) -> Fraction:
        """Bytes per second when the water stands at ``level``, in bytes per second and unit of weight."""
        rate = max(self.floor, level * self.weight)
        return rate if self.ceiling is None else min(rate, self.ceiling)

    def rounded(self, rate: Fraction) -> int:
        """Bytes per period, down from a rate that is between floor and ceiling."""
        size = math.floor(rate * self.period / 1000)
        return size if size == self.max_bytes else max(self.floor_bytes, size - size % self.unit)


def per_second(size: int, period: int) -> Fraction:
    return Fraction(size * 1000, period)


def share(bytes_per_second: int, claims: Mapping[Key, Claim]) -> dict[Key, int]:
    """Bytes per period for each guest, their sum never above ``bytes_per_second``.

    Raises :class:`BudgetError` when the floors alone are more than that.
    """
    needed = sum((claim.floor for claim in claims.values()), Fraction(0))
    if needed > bytes_per_second:
        short = math.ceil(needed - bytes_per_second)
        raise BudgetError(
            f"the floors of {len(claims)} guests need {math.ceil(needed)} B/s of {bytes_per_second} B/s: "
            f"{short} B/s short"
        )
    level = _level(Fraction(bytes_per_second), list(claims.values()))
    return {name: claim.rounded(claim.at(level)) for name, claim in claims.items()}


def _level(budget: Fraction, claims: list[Claim]) -> Fraction:
    """The level at which the claims add up to the budget, or at which all have reached their ceilings.

    The sum over all claims grows with the level, along a line that bends where a claim leaves its floor (the weight
    joins the slope) and where it reaches its ceiling (the weight goes again). Walk from bend to bend.
    """
    bends: list[tuple[Fraction, int]] = []
    for claim in claims:
        bends.append((claim.floor / claim.weight, claim.weight))
        if claim.ceiling is not None:
            bends.append((claim.ceiling / claim.weight, -claim.weight))
    level, slope = Fraction(0), 0
    total = sum((claim.floor for claim in claims), Fraction(0))
    for bend, change in sorted(bends):
        reached = total + (bend - level) * slope
        if reached >= budget and slope:
            break
        level, slope, total = bend, slope + change, reached
    return level + (budget - total) / slope if slope else level
