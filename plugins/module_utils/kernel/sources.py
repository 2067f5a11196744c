# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a source fit for guests? What a reader drew from it, judged.

The best word is "good", which says that bytes came, came fast enough, and that no test found a failure in them. It does
not say that they are random: no test can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from .measure import Limits

GOOD, SLOW, BLOCKED, END_OF_FILE, FAILED = "good", "slow", "blocked", "end of file", "failed"
UNSAFE, MISSING, ERROR = "unsafe", "missing", "error"
STATUSES = (GOOD, SLOW, BLOCKED, END_OF_FILE, FAILED, UNSAFE, MISSING, ERROR)
MEASURED = (GOOD, SLOW)  # what a budget can be made of
CANNOT_READ = "cannot be read: "  # how the reason of an ERROR begins where it is a read that failed

# How a reader ended, beside END_OF_FILE, UNSAFE, MISSING and ERROR.
COMPLETE, TIME_UP, HANGS = "complete", "time up", "hangs"

_STALLED = 2.0  # seconds without a byte; below, it may be a quota that is renewed every second


@dataclass(frozen=True)
class Drawn:
    """What came of reading a source.

    ``outcome`` is how the reader ended: all bytes came, the time was up, it hangs in the kernel, or one of the words
    END_OF_FILE, UNSAFE, MISSING and ERROR. ``seconds`` is how long it drew, ``last`` after how many the last byte came.
    """

    outcome: str
    why: str = ""
    count: int = 0
    seconds: float = 0.0
    last: float = 0.0
    sample: bytes = b""

    @property
    def per_second(self) -> Optional[float]:
        if not self.count or self.outcome not in (COMPLETE, TIME_UP):
            return None
        return round(self.count / max(self.seconds, 1e-6), 1)


def judge(drawn: Drawn, limits: Limits, health: Mapping[str, str], least: int = 0) -> Dict[str, Any]:
    """The result of one source, without its name.

    :param health: the verdicts on ``drawn.sample``.
    :param least: bytes per second below which it is slow.
    """
    status, why = _status(drawn, limits, health, least)
    return {
        "status": status,
        "why": why,
        "bytes": drawn.count,
        "seconds": round(drawn.seconds, 6),
        "bytes_per_second": drawn.per_second,
        "health": dict(health),
    }


def _status(drawn: Drawn, limits: Limits, health: Mapping[str, str], least: int) -> Tuple[str, str]:
    came = f"{drawn.count} of {limits.count} bytes came in {limits.seconds} s"
    if drawn.outcome in (UNSAFE, MISSING, ERROR):
        return drawn.outcome, drawn.why
    if drawn.outcome == HANGS:
        return BLOCKED, drawn.why
    if drawn.outcome == END_OF_FILE:
        return END_OF_FILE, f"it ended after {drawn.count} bytes; QEMU would freeze on it"
    if not drawn.count:
        return BLOCKED, drawn.why or f"not a byte came in {limits.seconds} s"
    silence = drawn.seconds - drawn.last
    if drawn.outcome == TIME_UP and silence >= max(_STALLED, limits.seconds / 2):
        return BLOCKED, f"{came}, and none in the last {silence:.1f} s of them"
    failed = [name for name, verdict in health.items() if verdict == "failed"]
    if failed:
        return FAILED, f"the bytes failed a health test: {', '.join(failed)}"
    rate = drawn.per_second or 0.0
    if rate < least:
        return SLOW, f"{rate:.1f} bytes per second, less than {least}"
    if drawn.outcome == TIME_UP:
        return GOOD, came
    return GOOD, f"all {drawn.count} bytes came, and no failure was found in them"
