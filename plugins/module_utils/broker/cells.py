# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, times and cells for a terminal: how wide text is there, and in which colour.

A line is made of spans, each with a meaning; only at the end a meaning becomes a colour, or nothing.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import List, Sequence, Tuple

Span = Tuple[str, str]
Line = List[Span]

PLAIN, TITLE, GOOD, EXTRA, BAD, FAINT = "", "1;7", "32", "33", "1;31", "2"


@dataclass(frozen=True)
class Style:
    """What the terminal can show."""

    colours: bool = False
    blocks: bool = True

    @property
    def signs(self) -> Tuple[str, str, str]:
        """The signs of what is within the rate, what is borrowed, and what is left."""
        return ("█", "▓", "░") if self.blocks else ("#", "+", ".")


AS_TEXT = Style()


def amount(count: float) -> str:
    """Bytes, in at most eight characters."""
    if count < 1023.5:
        return f"{count:.0f} B"
    units = ["PiB", "TiB", "GiB", "MiB", "KiB"]
    while True:
        count /= 1024
        unit = units.pop()
        if count < 1023.5 or not units:
            break
    return f"{count:.1f} {unit}" if count < 99.95 else f"{min(count, 9999):.0f} {unit}"


def duration(seconds: float, digits: int = 0) -> str:
    """A time in its two largest units; with ``digits`` in the largest one, and so in at most seven characters."""
    if seconds < 60:
        return f"{max(seconds, 0):.{digits if seconds < 9.95 else 0}f} s"
    minutes = int(seconds) // 60
    if digits:
        return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h" if minutes < 6000 else f"{minutes // 1440} d"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 1440 else f"{minutes // 1440} d {minutes // 60 % 24} h"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """Cut or filled to a width on the screen."""
    columns = sum(map(_columns, text))
    if columns > width:
        text, columns = text[:width], sum(map(_columns, text[:width]))
        while columns > width - 2:
            columns -= _columns(text[-1])
            text = text[:-1]
        text, columns = text + "..", columns + 2
    return text + " " * (width - columns)


def drawn(lines: Sequence[Line], width: int, style: Style) -> str:
    return "".join(_line(line, width, style) + "\n" for line in lines)


def _line(spans: Line, width: int, style: Style) -> str:
    shown = []
    for text, meaning in spans:
        if sum(map(_columns, text)) > width:
            text = fitted(text, width) if width > 2 else ""
        width -= sum(map(_columns, text))
        shown.append(f"\x1b[{meaning}m{text}\x1b[0m" if style.colours and meaning and text else text)
    return "".join(shown).rstrip()
