# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the broker against bare servers, in pairs, one right after the other: benchmarks/broker.py --help."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # where the lab is; also a "fleet", not ours

from broker_cases import CASES, QUICK, Bench, Sizes
from harness import BenchmarkError, Row
from lab import LabError
from report import insert, processor, table
from serving import ROOT, build

DOCUMENT = ROOT / "docs/benchmarks.md"
BEGIN = "<!-- begin: written by benchmarks/broker.py --write -->"


def main() -> int:
    """Build, measure, print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks/broker.py", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="short runs and two rounds, two minutes")
    parser.add_argument("--rounds", type=int, help="how often each pair is measured (5)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(ROOT)}")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left up
    sizes = QUICK if given.quick else Sizes()
    if given.rounds:
        sizes = replace(sizes, rounds=given.rounds)
    try:
        rows, load = measure(given.cases or list(CASES), sizes)
    except (BenchmarkError, LabError) as error:
        print(f"broker: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("broker: interrupted", file=sys.stderr)
        return 130
    print(table(rows))
    if given.write:
        insert(DOCUMENT, BEGIN, f"{circumstances(sizes, load)}\n\n{table(rows)}")
        say(f"written to {DOCUMENT.relative_to(ROOT)}")
    return 0


def say(text: str) -> None:
    """Progress goes to standard error, the table to standard output."""
    print(f"broker: {text}", file=sys.stderr, flush=True)


def measure(names: list[str], sizes: Sizes) -> tuple[list[Row], float]:
    """Run the cases named; also how busy the machine was before."""
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise BenchmarkError(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    load = os.getloadavg()[1]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="fleet-rng-broker-") as directory:
        work = Path(directory)
        build(work)
        bench = Bench(work, sizes)
        for name in names:
            begin = time.monotonic()
            say(f"case {name}")
            for row in CASES[name](bench):
                rows.append(row)
                say(f"  {row}")
            say(f"case {name} took {time.monotonic() - begin:.0f} s")
    return rows, load


def circumstances(sizes: Sizes, load: float) -> str:
    """When and with what."""
    return (
        f"{datetime.now(tz=UTC).date().isoformat()}: Python {platform.python_version()}; {os.cpu_count()} processors "
        f"({processor()}), Linux {platform.release()}, load {load:.1f} before; {sizes.rounds} rounds."
    )


if __name__ == "__main__":
    sys.exit(main())
