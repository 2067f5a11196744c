# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rates of a host's guests under its budget: one number for all of them, or what their sources are able to give.

No two measurements are the same, and a device is replaced for every other rate. So a measured budget is rounded down to
a coarse step, and what the guests have is left as it is while that is the share of some step near the new measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED, Rate, RngDevice, Source, request_bytes
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.kernel.sources import MEASURED
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.budget import BudgetError, Claim, per_second, share
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import PREFIX, Policy

_DIGITS = 3  # leading binary ones of a measured budget: 4, 5, 6 and 7 times a power of two
_BAND = 2  # rates stay while what they came from is between half and twice the new measurement
_ALLOWED = f"a source that gives bytes and fails no test; or bytes per second, or {UNLIMITED}"


@dataclass(frozen=True)
class Wanting:
    """A guest that is to have a device, and what it is to have without a budget."""

    guest: ObservedGuest
    policy: Policy
    most: int  # bytes per period, where its policy has no limit

    @property
    def device(self) -> RngDevice:
        if self.policy.device is None:
            raise ValueError("a guest that is to have no device wants no share")
        return self.policy.device

    @property
    def source(self) -> Source:
        return self.device.source

    @property
    def claim(self) -> Claim:
        ceiling = self.device.rate.max_bytes or self.most
        unit = request_bytes(self.guest.arch)
        return Claim(self.policy.period, self.policy.weight, self.policy.min_bytes, ceiling, unit)

    def limited(self, size: int, words: str) -> Policy:
        """Its policy with so many bytes per period."""
        if size == self.device.rate.max_bytes:
            return self.policy
        limited = replace(self.device, rate=Rate(size, self.policy.period))
        return replace(self.policy, device=limited, origin={**self.policy.origin, "max_bytes": words})

    def has(self, size: int) -> bool:
        """Whether it has this rate, of its source, already."""
        layer = self.guest.live if self.guest.config is None else self.guest.config
        devices = [found.device for found in layer or () if found.device is not None]
        return any(one.source == self.source and one.rate == Rate(size, self.policy.period) for one in devices)


@dataclass(frozen=True)
class Shared:
    """The policies of the guests with their shares, by the keys they came with, and the budget's row in the plan."""

    policies: Mapping[int, Policy]
    row: Mapping[str, Any]


def share_number(host: str, budget: int, wanting: Mapping[int, Wanting]) -> Shared:
    """Divide one budget among all guests."""
    words = f"budget of {printable(host, 80)}: {budget} B/s"
    policies, promised = _divided(host, budget, wanting, words)
    row = {"bytes_per_second": budget, "promised": math.ceil(promised), "guests": len(wanting), "measured": None}
    return Shared(policies, row)


def share_measured(host: str, percent: int, tests: object, wanting: Mapping[int, Wanting]) -> Shared:
    """Divide what each source was measured to give among the guests that are on it.

    :param percent: how much of it.
    :param tests: what ``rng_source_info`` returned.
    """
    groups: dict[str, dict[int, Wanting]] = {}
    for key, one in wanting.items():
        groups.setdefault(str(one.source), {})[key] = one
    rates = _rates(host, sorted(groups), tests)
    policies: dict[int, Policy] = {}
    total, sum_budgets, sources = Fraction(0), 0, {}
    for source, rate in rates.items():
        members = groups[source]
        budget = steady(math.floor(Fraction(rate) * percent / 100), members)
        words = f"budget of {printable(host, 80)}: {budget} B/s of {source}, {percent} % of what was measured"
        shared, promised = _divided(host, budget, members, words)
        policies.update(shared)
        total += promised
        sum_budgets += budget
        sources[source] = {
            "measured": rate,
            "bytes_per_second": budget,
            "promised": math.ceil(promised),
            "guests": len(members),
        }
    measured = {"share": percent, "sources": sources}
    row = {
        "bytes_per_second": sum_budgets,
        "promised": math.ceil(total),
        "guests": len(wanting),
        "measured": measured,
    }
    return Shared(policies, row)


def untested(sources: Iterable[str], tests: object) -> list[str]:
    """Those of the sources that nobody tested yet."""
    results = _results(tests)
    return [source for source in sources if source not in results]


def steady(target: int, wanting: Mapping[int, Wanting]) -> int:
    """The budget that is right for a measured share, and changes as few guests as can be.

    :param target: bytes per second that the guests may draw together, by the measurement alone.
    """
    claims = {key: one.claim for key, one in wanting.items()}

    def unchanged(budget: int) -> int:
        try:
            shares = share(budget, claims)
        except BudgetError:
            return 0
        return sum(1 for key, one in wanting.items() if one.has(shares[key]))

    best = step(target)
    most = unchanged(best)
    near = sorted(_steps(-(-target // _BAND), target * _BAND), key=lambda one: abs(one - target))
    for budget in near:
        if most == len(wanting):
            break
        found = unchanged(budget)
        if found > most:
            best, most = budget, found
    return best


def step(size: int) -> int:
    """Rounded down to a step, by less than a fifth."""
    shift = max(0, size.bit_length() - _DIGITS)
    return size >> shift << shift


def _steps(low: int, high: int) -> Iterable[int]:
    one = step(low)
    while one <= high:
        if one >= low:
            yield one
        one += 1 << max(0, one.bit_length() - _DIGITS)


def _divided(host: str, budget: int, wanting: Mapping[int, Wanting], words: str) -> tuple[dict[int, Policy], Fraction]:
    """The limited policies, and the bytes per second that they promise together."""
    claims = {key: one.claim for key, one in wanting.items()}
    try:
        shares = share(budget, claims)
    except BudgetError as error:
        raise HypervisorError(f"hypervisor {printable(host, 80)}: {PREFIX}host_budget: {error}") from error
    weights = sum(claim.weight for claim in claims.values())
    policies = {
        key: one.limited(shares[key], f"{words}, weight {one.policy.weight} of {weights}")
        for key, one in wanting.items()
    }
    promised = sum((per_second(shares[key], claim.period) for key, claim in claims.items()), Fraction(0))
    return policies, promised


def _rates(host: str, sources: Iterable[str], tests: object) -> dict[str, float]:
    """What each source was measured to give; an error names all that were not."""
    results = _results(tests)
    found, wrong = {}, []
    for source in sources:
        result = results.get(source, {})
        rate = result.get("bytes_per_second")
        if result.get("status") in MEASURED and isinstance(rate, int | float) and math.isfinite(rate) and rate >= 0:
            found[source] = float(rate)
        else:
            wrong.append(f"{source} {_why(result, tests)}")
    if wrong:
        variable = f"hypervisor {printable(host, 80)}: {PREFIX}host_budget: measured"
        raise HypervisorError(f"{variable}, and {'; '.join(wrong)}; allowed: {_ALLOWED}")
    return found


def _why(result: Mapping[str, Any], tests: object) -> str:
    if result:
        return printable(f"is {result.get('status')}: {result.get('why')}", 300)
    msg = tests.get("msg") if isinstance(tests, Mapping) else None
    return "was not tested" + (f": {printable(str(msg), 300)}" if msg else "")


def _results(tests: object) -> dict[str, Mapping[str, Any]]:
    """The results by source; none where the tests were skipped or failed."""
    found = tests.get("sources") if isinstance(tests, Mapping) else None
    if not isinstance(found, list | tuple):
        return {}
    return {one["source"]: one for one in found if isinstance(one, Mapping) and isinstance(one.get("source"), str)}
