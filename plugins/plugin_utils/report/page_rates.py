# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the page as numbers: quotas and what was measured, budgets, and which rules hold."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_facts import Guest, amount, rate_of

QUOTAS = 12
BARS = 24
BANDS = ((0, 0.5, "under half"), (0.5, 0.8, "half to 80 %"), (0.8, 1.0, "80 to 100 %"), (1.0, math.inf, "over budget"))
WIDTH = 1000  # units of every bar


@dataclass(frozen=True)
class Quota:
    """One rate that guests have, and what those of them that were measured drew."""

    text: str
    guests: int
    width: float  # of the bar
    measured: int
    spread: tuple[float, float, float] | None  # the slowest, the middle and the fastest, bytes per second
    marks: tuple[float, float, float, float | None] | None  # the same and the quota on the axis


@dataclass(frozen=True)
class Budget:
    """What one host may give and what it has promised, as a bar."""

    host: str
    budget: int
    promised: int
    guests: int
    measured: bool = False

    @property
    def share(self) -> float:
        if not self.promised:
            return 0
        return self.promised / self.budget if self.budget else math.inf

    @property
    def text(self) -> str:
        percent = f"{100 * self.share:.0f} %" if math.isfinite(self.share) else "no budget"
        measured = ", measured" if self.measured else ""
        return f"{amount(self.promised)}/s of {amount(self.budget)}/s ({percent}){measured}"

    @property
    def widths(self) -> tuple[float, float]:
        """The promise, and where the budget ends, on a bar that has room for the larger."""
        largest = max(self.budget, self.promised, 1)
        return round(WIDTH * self.promised / largest, 1), round(WIDTH * self.budget / largest, 1)

    @property
    def band(self) -> str:
        return next(word for low, high, word in BANDS if self.share <= high)


@dataclass
class Rule:
    """One rule of compliance over all hosts."""

    id: str
    title: str
    results: Counter[str] = field(default_factory=Counter)
    judgements: Counter[tuple[str, str]] = field(default_factory=Counter)  # judgement and note


def quotas(guests: Iterable[Guest]) -> tuple[list[Quota], int]:
    """The rates of the devices in use, the slowest first, and how many rates were left out."""
    by_rate: defaultdict[float, list[float]] = defaultdict(list)
    counts: Counter[float] = Counter()
    for guest in guests:
        for device in (guest.devices or ())[:1]:
            number = rate_of(device)
            key = math.inf if number is None else number
            counts[key] += 1
            measured = ((guest.data.get("view") or {}).get("measured") or {}).get("bytes_per_second")
            if measured:
                by_rate[key].append(measured)
    kept = sorted(key for key, dummy in counts.most_common(QUOTAS))
    numbers = [number for key in kept for number in (*by_rate[key], key) if 0 < number < math.inf]
    axis = (math.log10(min(numbers)), math.log10(max(numbers))) if numbers else (0.0, 1.0)
    most = max(counts.values(), default=1)
    found = [_quota(key, counts[key], WIDTH * counts[key] / most, by_rate[key], axis) for key in kept]
    return found, len(counts) - len(kept)


def _quota(key: float, guests: int, width: float, measured: list[float], axis: tuple[float, float]) -> Quota:
    def place(number: float) -> float:
        low, high = axis[0] - 0.1, axis[1] + 0.1
        return round(WIDTH * (math.log10(number) - low) / (high - low), 1)

    limit = None if math.isinf(key) else key
    spread = (min(measured), median(measured), max(measured)) if measured else None
    return Quota(
        text=UNLIMITED if limit is None else f"{amount(limit)}/s",
        guests=guests,
        width=round(width, 1),
        measured=len(measured),
        spread=spread,
        marks=(*(place(number) for number in spread), limit and place(limit)) if spread else None,  # type: ignore[arg-type]
    )


def budgets(hosts: Iterable[Mapping[str, Any]]) -> tuple[list[Budget], dict[str, int]]:
    """Every host that has a budget, the fullest first, and how many there are in each band."""
    found = [
        Budget(
            host["hypervisor"],
            given["bytes_per_second"],
            given["promised"],
            given["guests"],
            measured=bool(given.get("measured")),
        )
        for host in hosts
        if (given := host.get("budget"))
    ]
    found.sort(key=lambda budget: (-budget.share, budget.host))
    bands = Counter(budget.band for budget in found)
    return found, {word: bands[word] for dummy, dummy2, word in BANDS}


def rules(hosts: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """Every rule of compliance that some host was held against."""
    found: dict[str, Rule] = {}
    for host in hosts:
        for item in host.get("compliance") or ():
            rule = found.setdefault(item["id"], Rule(item["id"], item["title"]))
            rule.results[item["result"]] += 1
            if item["result"] != "not applicable":  # then there is nothing to agree with
                rule.judgements[(item["judgement"], item.get("note") or "")] += 1
    return [found[key] for key in sorted(found)]
