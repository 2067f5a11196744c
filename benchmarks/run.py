# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection on real hypervisors and guests of this machine: benchmarks/run.py --help (root)."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # where the lab is; also a "fleet", not ours

from cases import CASES, QUICK, SMALL, Bench, Sizes, big_host
from fleet import ANSIBLE, ROOT, Controller, Meter, spec_of
from harness import BenchmarkError, Row
from lab import Lab, LabError
from lab.fleet import require_root
from lab.packages import install
from report import table, write

DOCUMENT = ROOT / "docs/benchmarks.md"
PACKAGES = ["virtinst", "python3-lxml"]  # what the loops of today run on a hypervisor
ANSIBLE_PACKAGE = "ansible==12.3.0"  # carries community.libvirt; ours is the ansible-core that runs
MEMORY_OF_HOST = 45 * 1024  # KiB, with its SSH connection


def say(text: str) -> None:
    """Progress goes to standard error, the table to standard output."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Boot a fleet, measure, print the table."""
    given = _arguments().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left up
    sizes = QUICK if given.quick else Sizes()
    if given.rounds:
        sizes = replace(sizes, rounds=given.rounds)
    for name in ("audit", "observe", "converge", "controller"):
        if getattr(given, name):
            sizes = replace(sizes, **{name: tuple(getattr(given, name))})
    try:
        require_root()
        rows = measure(given.cases or list(CASES), sizes, given.state)
    except (BenchmarkError, LabError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(table(rows))
    if given.write:
        write(DOCUMENT, rows, sizes)
        say(f"written to {DOCUMENT.relative_to(ROOT)}")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds, a few minutes")
    parser.add_argument("--rounds", type=int, help="how often each pair is measured (5)")
    for name, what in (("audit", "hosts"), ("observe", "guests"), ("converge", "guests"), ("controller", "hosts")):
        parser.add_argument(f"--{name}", type=int, nargs="+", metavar="N", help=f"sizes of this case: {what}")
    parser.add_argument("--state", type=Path, help="directory for the fleet (a new one)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(ROOT)}")
    return parser


def measure(names: list[str], sizes: Sizes, state: Path | None) -> list[Row]:
    """Run the cases named, on a fleet that is ended in any case."""
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise BenchmarkError(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    _check_memory(sizes.small_hosts)
    if "converge" in names:
        install(PACKAGES, say)
        _fetch_collections()
    big = {big_host(count): count for count in sorted({*sizes.observe, *sizes.converge} - {SMALL})}
    rows: list[Row] = []
    meter = Meter()
    try:
        state = state or Path(tempfile.mkdtemp(prefix="fleet-rng-bench-", dir="/var/tmp"))
        with Lab(spec_of(sizes.small_hosts, SMALL, big), state, say) as lab:
            controller = Controller(lab, meter)
            bench = Bench(controller, sizes)
            try:
                for name in names:
                    begin = time.monotonic()
                    say(f"case {name}")
                    for row in CASES[name](bench):
                        rows.append(row)
                        say(f"  {row}")
                    say(f"case {name} took {time.monotonic() - begin:.0f} s")
            finally:
                controller.disconnect()
    finally:
        meter.close()
    return rows


def _check_memory(hosts: int) -> None:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0])
    if free < hosts * MEMORY_OF_HOST:
        raise BenchmarkError(
            f"{hosts} hosts need about {hosts * MEMORY_OF_HOST // 2**20} GiB of memory, {free // 2**20} GiB are free: "
            "choose smaller sizes with --audit and --controller, or --quick"
        )


def _fetch_collections() -> None:
    if not ANSIBLE.exists():
        say(f"fetching {ANSIBLE_PACKAGE} for community.libvirt")
        part = ANSIBLE.with_suffix(".part")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(part)]
        done = subprocess.run([*pip, ANSIBLE_PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"pip: {done.stderr.strip()[-1000:]}")
        part.rename(ANSIBLE)


if __name__ == "__main__":
    sys.exit(main())
