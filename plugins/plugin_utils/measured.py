# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of a measured rate: what a guest drew, held against the quota of its policy.

What is measured are whole quotas that come after the first, free one, in a time that runs from before it: a limit that
works is never overrated (see kernel/measure.py), so that a quarter of the rate is enough for clocks. On the slow side
half is sound: the first renewal may be a period away, and a guest that gets no CPU between two renewals misses one. To
be slow is no proof of a wrong limit, to be fast is.
"""

from __future__ import annotations

from collections.abc import Mapping
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
CLOCK = 0.01  # seconds, a step of the guest's clock
TRIED = 5.0  # seconds without a byte, where the answer does not say how many


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


def _rate(case: Case, measured: Mapping[str, Any], rate: Rate) -> Check:
    status, size, seconds = str(measured["status"]), int(measured["bytes"]), float(measured["seconds"])
    why = str(measured.get("why") or status)
    evidence = {"status": status, "bytes": size, "seconds": seconds, "limit": str(rate)}
    if status == "no bytes":
        if rate.max_bytes is not None and rate.period >= 1000 * (seconds or TRIED):
            case.find(kinds.NOT_MEASURED, evidence, why=f"{why}, which is too short for {rate}")
            return Check(UNKNOWN, f"{why}: too short for {rate}")
        case.find(kinds.NO_BYTES, evidence, why=why, trial=case.trial)
        return Check(FAIL, why)
    if status != "measured" or measured.get("bytes_per_second") is None:
        case.find(kinds.NOT_MEASURED, evidence, why=why)
        return Check(UNKNOWN, why)
    drawn = f"{size} B in {seconds:.4g} s; the limit is {rate}"
    if rate.bytes_per_second is None:
        return Check(PASS, drawn)
    words = {"bytes": size, "seconds": f"{seconds:.4g}", "limit": rate, "trial": case.trial}
    if size > FASTEST * rate.bytes_per_second * max(seconds, CLOCK):
        case.find(kinds.TOO_FAST, evidence, **words)
        return Check(FAIL, f"{drawn}: too fast")
    if size < SLOWEST * rate.bytes_per_second * seconds:
        case.find(kinds.TOO_SLOW, evidence, **words)
        return Check(UNKNOWN, f"{drawn}: slow")
    return Check(PASS, drawn)
