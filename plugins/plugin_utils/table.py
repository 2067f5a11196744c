# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laying out plain text for a terminal: columns, and paragraphs behind a head."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

GAP = "  "
LINES = 200  # that a table has at most; what it is made of has all of them


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Every row on one line, each column as wide as its widest cell."""
    widths = [max(width_of(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return [GAP.join(left(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows]


def heads(rows: Sequence[Sequence[str]]) -> list[str]:
    """The beginnings of lines that a text follows: aligned, and without the columns that are empty everywhere."""
    widths = [max(width_of(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return ["".join(left(cell, size) + GAP for cell, size in zip(row, widths, strict=True) if size) for row in rows]


def numbers(first: str, names: Sequence[str], rows: Sequence[tuple[str, Mapping[str, int] | None]]) -> list[str]:
    """A table of counts below their names; a row without counts has a dash for each."""
    size = max(width_of(cell) for cell in (first, *(row[0] for row in rows)))
    lines = [GAP.join([left(first, size), *names])]
    for label, counts in rows:
        cells = [f"{'-' if counts is None else counts.get(name, 0):>{len(name)}}" for name in names]
        lines.append(GAP.join([left(label, size), *cells]))
    return lines


def explained(rows: Sequence[tuple[Sequence[str], str]], width: int, most: int = LINES) -> list[str]:
    """Heads of several cells, aligned, each with its text behind it; after ``most`` of them only how many there are."""
    shown = rows[:most]
    lines = []
    for head, (dummy, text) in zip(heads([row[0] for row in shown]), shown, strict=True):
        lines += wrapped(head, text, width)
    return lines if len(shown) == len(rows) else [*lines, f"... and {len(rows) - len(shown)} more"]


def wrapped(head: str, text: str, width: int) -> list[str]:
    """``text`` behind ``head``, its further lines below its first one, or less far right when that is very far."""
    indent = width_of(head) if width_of(head) <= width // 2 else 4
    filler = "." * width_of(head)  # textwrap would drop the spaces at the end of head
    first, *more = textwrap.wrap(
        text, width, initial_indent=filler, subsequent_indent=" " * indent, break_on_hyphens=False
    )
    return [head + first[len(filler) :], *more]


def left(text: str, size: int) -> str:
    """``text`` filled up with spaces to ``size`` columns."""
    return text + " " * (size - width_of(text))


def width_of(text: str) -> int:
    """Columns on a terminal: East Asian wide characters and emoji take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
