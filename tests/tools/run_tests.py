# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run stages (targets of the Makefile) one after the other, the later ones also when one fails, and sum them up.

A stage that leaves a JUnit file in .cache/junit counts by its tests, any other as one test. What failed is named, with
the beginning of its reason, after the counts. The last line is always ``N passed, N failed``, alone; it is kept in
.cache/closing-line too.

Integration tests look at real guests on a machine that may be busy with something else. Those that fail are run once
more, with nothing beside them: what passes then is no fault of the collection, but named all the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

CACHE = Path(".cache")
# All stages take about forty minutes on a quiet machine of two cores. A busy one is slow, not wrong.
# CI ends a run after 90.
RUN_SECONDS = 82 * 60


# Stages whose failed tests another target runs again, unless so many failed that it is no accident.
AGAIN = {"integration": "integration-again"}
FEW = 40


@dataclass(frozen=True)
class Outcome:
    """What one stage came to. ``failures`` and ``passed_again`` say why each test failed, by its name."""

    stage: str
    seconds: float
    passed: int = 0
    skipped: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    passed_again: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return len(self.failures)

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        again = f", {len(self.passed_again)} passed when run again" if self.passed_again else ""
        return f"{self.stage:<15}{self.seconds:6.0f} s   {counts}{skipped}{again}"


def run(stage: str, deadline: float) -> Outcome:
    """Run one stage until ``deadline``, and what failed in it once more where that is worth while."""
    first = attempt(stage, deadline)
    if stage not in AGAIN or not 0 < first.failed <= FEW:
        return first
    second = attempt(AGAIN[stage], deadline)
    seconds = first.seconds + second.seconds
    if second.failed or second.passed != first.failed:
        return replace(first, seconds=seconds)
    return replace(
        first, seconds=seconds, passed=first.passed + second.passed, failures={}, passed_again=first.failures
    )


def attempt(stage: str, deadline: float) -> Outcome:
    """Run one target and count its tests."""
    print(f"\n==== {stage} ====", flush=True)
    junit = CACHE / "junit" / f"{stage}.xml"
    junit.unlink(missing_ok=True)
    begin = time.monotonic()
    problem = make(stage, deadline - begin)
    seconds = time.monotonic() - begin
    if not junit.exists():
        return Outcome(stage, seconds, failures={stage: problem}) if problem else Outcome(stage, seconds, passed=1)
    counted = count(stage, junit)
    failures = counted.failures or ({stage: problem} if problem else {})
    return replace(counted, seconds=seconds, failures=failures)


def make(stage: str, seconds: float) -> str:
    """Call ``make STAGE`` in a process group of its own; when its time is over, interrupt it, so that it cleans up.

    Returns what went wrong, or nothing.
    """
    if seconds <= 0:
        return "no time left"
    with subprocess.Popen(["make", "--keep-going", stage], stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            status = process.wait(seconds)
            return f"make ended with {status}" if status else ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return f"ended after {seconds:.0f} s"


def count(stage: str, junit: Path) -> Outcome:
    """Passed, failed (or broken) and skipped tests of a JUnit file."""
    passed = skipped = 0
    failures = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        bad = next((part for kind in ("failure", "error") for part in case.iter(kind)), None)
        if bad is not None:
            failures[f"{case.get('classname')}::{case.get('name')}"] = bad.get("message") or "failed"
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return Outcome(stage, 0, passed, skipped, failures)


def named(title: str, found: list[dict[str, str]]) -> str:
    """A list of tests with the beginning of each one's reason, as one line."""
    lines = [f"{test}: {textwrap.shorten(why, 200)}\n" for tests in found for test, why in tests.items()]
    return "".join([f"==== {title} ====\n", *lines, "\n"]) if lines else ""


def main(stages: list[str]) -> int:
    """Run them all; 0 when nothing failed."""
    deadline = time.monotonic() + RUN_SECONDS
    outcomes = [run(stage, deadline) for stage in stages]
    failed = sum(outcome.failed for outcome in outcomes)
    closing = f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed"
    (CACHE / "closing-line").write_text(closing + "\n")
    print("\n==== summary ====", *outcomes, "", sep="\n")
    print(named("failed at first, passed when run again", [outcome.passed_again for outcome in outcomes]), end="")
    print(named("failed", [outcome.failures for outcome in outcomes]), end="")
    print(closing, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    (CACHE / "junit").mkdir(parents=True, exist_ok=True)
    sys.exit(main(sys.argv[1:]))
