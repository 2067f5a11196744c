# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table, and its place in the documentation."""

from __future__ import annotations

import datetime
import os
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cases import Sizes
from fleet import FORKS, ROOT
from harness import BenchmarkError, Row

BEGIN = "<!-- begin: written by benchmarks/run.py --write -->"
END = "<!-- end -->"
HEAD = ("Case", "What", "Size", "Median", "Range", "By CPU time", "Goal", "Met", "Detail")


def table(rows: Sequence[Row]) -> str:
    """As Markdown that is readable as it stands."""
    lines = [HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    low, high = min(row.values), max(row.values)
    return (
        row.case,
        row.what,
        row.size,
        _number(row.value, row.unit),
        f"{low:.3g} to {high:.3g}" if len(row.values) > 1 else "",
        _number(statistics.median(row.cpu), row.unit) if row.cpu else "",
        str(row.goal or ""),
        "" if row.goal is None else ("yes" if row.goal.met(row.value) else "no"),
        row.detail,
    )


def _number(value: float, unit: str) -> str:
    return f"{value:.3g}" + (f" {unit}" if unit else "")


def write(document: Path, rows: Sequence[Row], sizes: Sizes) -> None:
    """Put the table where it belongs."""
    insert(document, BEGIN, f"{_circumstances(sizes)}\n\n{table(rows)}")


def insert(document: Path, begin: str, text: str) -> None:
    """Replace what is between this marker and the next end."""
    before, found, rest = document.read_text().partition(begin)
    dummy, end, after = rest.partition(END)
    if not found or not end:
        raise BenchmarkError(f"{document} has no place for the table")
    document.write_text(f"{before}{begin}\n{text}\n{END}{after}")


def _circumstances(sizes: Sizes) -> str:
    core = _output("ansible-playbook", "--version").splitlines()[0]
    libvirt = _output("libvirtd", "--version")
    return (
        f"{datetime.date.today():%Y-%m-%d}: {core}, {FORKS} forks; {libvirt.strip()}; {os.cpu_count()} processors "
        f"({processor()}), Linux {os.uname().release}; {sizes.rounds} rounds."
    )


def processor() -> str:
    """What the machine's processors call themselves."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if "model name" in line)


def _output(*command: str) -> str:
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path}).stdout
