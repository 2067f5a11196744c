# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream is: a terminal of some size, with or without colours, or something else."""

from __future__ import annotations

import os
from typing import Any, Tuple

from .cells import Style

USUAL = (80, 24)


def size_of(stream: Any) -> Tuple[int, int]:
    """Columns and lines; the usual ones where it has none."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return USUAL
    return (size.columns or USUAL[0], size.lines or USUAL[1])


def style_of(stream: Any) -> Style:
    """Colours are for terminals that have some, and for those who did not ask for none (no-color.org)."""
    colours = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    encoding = str(getattr(stream, "encoding", "") or "").lower().replace("-", "")
    return Style(colours=colours, blocks=encoding == "utf8")
