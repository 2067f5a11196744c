# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture: bytes per second given to each guest, one on top of the other, for a terminal and for a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotext
import pygal
from pygal.style import Style

LOOKS = {  # of the terminal's 256 colours, and of a page
    "gold-1": (220, "#f2c230"),
    "gold-2": (172, "#c98a12"),
    "silver-1": (152, "#a3bfd1"),
    "silver-2": (67, "#54809f"),
}
SHADES = "█▓▒░"  # where there are no colours
WIDTH, HEIGHT = 100, 26
_HEADROOM = 1.2  # above the highest bar: the names of the phases


@dataclass(frozen=True)
class Mark:
    """Where in the picture a phase begins: seconds since its left edge."""

    name: str
    begin: float


def for_terminal(rates: Mapping[str, Sequence[float]], marks: Sequence[Mark], width: int, colours: bool) -> str:
    """The picture as lines of text, ``width`` columns or fewer."""
    guests = list(rates)
    seconds = len(rates[guests[0]])
    top = max(map(sum, zip(*rates.values(), strict=True)))
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # the caller knows how much room there is
    plotext.plot_size(min(width, WIDTH), HEIGHT)
    plotext.ylim(0, top * _HEADROOM)
    plotext.xlim(0, seconds)
    middles = [second + 0.5 for second in range(seconds)]
    # From the top to the bottom, each bar over the lower part of the one before: a stack without bars of no height.
    for number in reversed(range(len(guests))):
        heights = [sum(rates[guest][second] for guest in guests[: number + 1]) for second in range(seconds)]
        bars = [(x, height) for x, height in zip(middles, heights, strict=True) if height >= top / HEIGHT / 2]
        if bars:
            marker = SHADES[0] if colours else SHADES[number % len(SHADES)]
            plotext.bar(*zip(*bars, strict=True), marker=marker, width=1, color=LOOKS[guests[number]][0])
    step = _step(top)
    plotext.yticks([step * tick for tick in range(int(top / step) + 1)])
    plotext.xticks(list(range(0, seconds + 1, 5)))
    for mark in marks:
        plotext.vline(mark.begin)
        plotext.text(mark.name, x=mark.begin + seconds / WIDTH, y=top * (1 + _HEADROOM) / 2 + 1, alignment="left")
    plotext.xlabel("seconds")
    drawn = plotext.build()
    legend = "   ".join(_key(guest, number, colours) for number, guest in enumerate(guests))
    text = f"Bytes per second for each guest, stacked:   {legend}\n{drawn}"
    return text if colours else plotext.uncolorize(text)


def _key(guest: str, number: int, colours: bool) -> str:
    block = (SHADES[0] if colours else SHADES[number % len(SHADES)]) * 2
    return f"{plotext.colorize(block, LOOKS[guest][0]) if colours else block} {guest}"


def _step(top: float) -> int:
    """A round number that is there four to eight times up to the top."""
    step = 1
    while top / step >= 8:
        step *= 2
    return step


def for_browser(rates: Mapping[str, Sequence[float]], marks: Sequence[Mark], title: str, path: Path) -> None:
    """The same as an SVG file, which contains all that it needs."""
    guests = list(rates)
    seconds = len(rates[guests[0]])
    style = Style(
        background="white",
        plot_background="white",
        colors=tuple(LOOKS[guest][1] for guest in guests),
        opacity="1",
        opacity_hover="0.85",
        guide_stroke_color="#e4e4e4",
        major_guide_stroke_color="#333333",
        title_font_size=20,
        label_font_size=14,
        major_label_font_size=14,
        legend_font_size=15,
        font_family="sans-serif",
    )
    chart = pygal.StackedLine(
        js=[],
        style=style,
        width=1200,
        height=620,
        fill=True,
        show_dots=False,
        stroke_style={"width": 0},
        title=title,
        x_title="seconds",
        y_title="bytes per second, stacked",
        legend_at_bottom=True,
        legend_at_bottom_columns=len(guests),
        show_x_guides=True,
        truncate_label=-1,
        value_formatter=lambda value: f"{value:,.0f}",
        pretty_print=False,
    )
    chart.x_labels = [_label(second, seconds, marks) for second in range(seconds)]
    chart.x_labels_major = [label for label in chart.x_labels if ":" in label]
    top = max(map(sum, zip(*rates.values(), strict=True)))
    chart.y_labels = [_step(top) * tick for tick in range(int(top / _step(top)) + 2)]
    chart.y_labels_major = []
    for guest in guests:
        chart.add(guest, list(rates[guest]))
    chart.add_xml_filter(_without_scripts)
    path.write_bytes(chart.render())


def _without_scripts(root: Any) -> Any:
    for parent in list(root.iter()):
        for child in [child for child in parent if str(child.tag).endswith("script")]:
            parent.remove(child)
    return root


def _label(second: int, seconds: int, marks: Sequence[Mark]) -> str:
    for mark in marks:
        if second == min(round(mark.begin), seconds - 1):
            return f"{second}: {mark.name}"
    return ""
