# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo prints: headings with the time since its start, and tables."""

from __future__ import annotations

import time
from collections.abc import Iterable

START = time.monotonic()


def elapsed() -> float:
    """Seconds since the demo began."""
    return time.monotonic() - START


def heading(text: str) -> None:
    """A line that separates the steps."""
    print(f"\n=== [{elapsed():4.0f} s] {text}")


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Columns as wide as they need to be."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
