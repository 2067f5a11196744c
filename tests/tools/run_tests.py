# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run stages (targets of the Makefile) one after the other, the later ones also when one fails, and sum them up.

A stage that leaves a JUnit file in .cache/junit counts by its tests, any other as one test. The last line is always
``N passed, N failed``, alone; it is kept in .cache/closing-line too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

CACHE = Path(".cache")
# All stages take about fifty minutes on a quiet machine of two cores. A busy one is slow, not wrong.
# CI ends a run after 90.
RUN_SECONDS = 82 * 60


@dataclass(frozen=True)
class Outcome:
    """What one stage came to."""

    stage: str
    seconds: float
    passed: int
    failed: int
    skipped: int = 0
    note: str = ""

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.stage:<15}{self.seconds:6.0f} s   {counts}{skipped}{self.note and f' ({self.note})'}"


def run(stage: str, seconds: float) -> Outcome:
    """Run one stage, bounded in time, and count its tests."""
    print(f"\n==== {stage} ====", flush=True)
    junit = CACHE / "junit" / f"{stage}.xml"
    junit.unlink(missing_ok=True)
    begin = time.monotonic()
    status, note = make(stage, seconds)
    elapsed = time.monotonic() - begin
    passed, failed, skipped = count(junit) if junit.exists() else (0, 0, 0)
    if status == 0 and not failed:
        return Outcome(stage, elapsed, passed or int(not skipped), 0, skipped)
    return Outcome(stage, elapsed, passed, failed or 1, skipped, note)


def make(stage: str, seconds: float) -> tuple[int, str]:
    """Call ``make STAGE`` in a process group of its own; when its time is over, interrupt it, so that it cleans up."""
    if seconds <= 0:
        return 1, "no time left"
    with subprocess.Popen(["make", "--keep-going", stage], stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait(seconds), ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return 1, f"ended after {seconds:.0f} s"


def count(junit: Path) -> tuple[int, int, int]:
    """Passed, failed (or broken) and skipped tests of a JUnit file."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(junit).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main(stages: list[str]) -> int:
    """Run them all; 0 when nothing failed."""
    deadline = time.monotonic() + RUN_SECONDS
    outcomes = [run(stage, deadline - time.monotonic()) for stage in stages]
    closing = f"{sum(o.passed for o in outcomes)} passed, {sum(o.failed for o in outcomes)} failed"
    (CACHE / "closing-line").write_text(closing + "\n")
    print("\n==== summary ====", *outcomes, "", closing, sep="\n", flush=True)
    return int(any(o.failed for o in outcomes))


if __name__ == "__main__":
    (CACHE / "junit").mkdir(parents=True, exist_ok=True)
    sys.exit(main(sys.argv[1:]))
