# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of a measured rate: what a guest drew, held against the quota of its policy.

QEMU renews a quota on a timer, so a reader may find one that is full, and another right after: two quotas more than
the average are sound in however short a time. Beyond that a quarter is left for the guest's clock, which is not the
host's. On the slow side half is sound: a guest that gets no CPU between two quotas misses one, and waits at first for
the quota that somebody before it has used up. To be slow is no proof of a wrong limit, to be fast is.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import Rate
from ansible_collections.fleet.rng.plugins.plugin_utils import guest_findings as kinds
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    Case,
    Check,
)

FASTEST = 1.25
SLOWEST = 0.5
QUOTAS_AT_ONCE = 2
BUFFERED = 256  # bytes that the guest's kernel and driver may hold from before


def check_measured(case: Case, virtio_is_current: bool) -> Check:
    """The guest got bytes, as many as its limit allows, and they passed the health tests."""
    measured = (case.guest.guest_view or {}).get("measured")
    if case.wanted is None or case.device is None:
        return Check(NOT_APPLICABLE, "no RNG to judge")
    if measured is None:
        return Check(NOT_APPLICABLE, "not measured")
    if not virtio_is_current:
        return Check(UNKNOWN, "what the guest drew did not surely come from its virtio RNG")
    check = _rate(case, measured, case.wanted.rate)
    failed = [str(name) for name, result in (measured.get("health") or {}).items() if result == "failed"]
    if failed:
        tests = ", ".join(name.replace("_", " ") for name in sorted(failed))
        case.find(kinds.UNHEALTHY, {"health": measured["health"]}, tests=tests)
        return Check(FAIL, f"{check.message}; the bytes failed the health test {tests}")
    return check


def _rate(case: Case, measured: dict[str, Any], rate: Rate) -> Check:
    status, size, seconds = str(measured["status"]), int(measured["bytes"]), float(measured["seconds"])
    why = str(measured.get("why") or status)
    words = {"bytes": size, "seconds": f"{seconds:.4g}", "limit": rate, "trial": case.trial}
    evidence = {"bytes": size, "seconds": seconds, "limit": str(rate)}
    if status in ("not allowed", "error"):
        case.find(kinds.NOT_MEASURED, {"status": status}, why=why)
        return Check(UNKNOWN, why)
    least = 1.0 if rate.max_bytes is None else SLOWEST * _after_the_first(rate, seconds)
    if size == 0:
        if status == "timed out" or (rate.max_bytes is not None and least == 0):
            case.find(kinds.NOT_MEASURED, evidence, why=f"no byte in {seconds:.4g} s, which may be too short ({why})")
            return Check(UNKNOWN, f"no byte in {seconds:.4g} s: too short for {rate}")
        reason = "" if why == status else f" ({why})"
        case.find(kinds.NO_BYTES, evidence, **{**words, "why": reason})
        return Check(FAIL, f"no byte in {seconds:.4g} s")
    drawn = f"{size} B in {seconds:.4g} s; the limit is {rate}"
    if rate.max_bytes is None:
        return Check(PASS, drawn)
    most = FASTEST * rate.max_bytes * 1000 * seconds / rate.period + QUOTAS_AT_ONCE * rate.max_bytes + BUFFERED
    if size > most:
        case.find(kinds.TOO_FAST, evidence, **words)
        return Check(FAIL, f"{drawn}: too fast")
    if size < least:
        case.find(kinds.TOO_SLOW, evidence, **words)
        return Check(UNKNOWN, f"{drawn}: slow")
    return Check(PASS, drawn)


def _after_the_first(rate: Rate, seconds: float) -> float:
    """The bytes that the limit allows, less a quota that may have been used up before the measuring began."""
    size = rate.max_bytes or 0
    return max(0.0, size * 1000 * seconds / rate.period - size)
