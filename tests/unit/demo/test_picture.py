# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's picture, in a terminal of any width, with and without colours, and as a file."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("plotext", reason="a tool of the development environment")
pytest.importorskip("pygal", reason="a tool of the development environment")
picture = importlib.import_module("sharing.picture")
LOOKS, SHADES, Mark = picture.LOOKS, picture.SHADES, picture.Mark
for_browser, for_terminal = picture.for_browser, picture.for_terminal

RATES = {
    "gold-1": [3072.0] * 14 + [0.0] * 14,
    "gold-2": [3072.0] * 14 + [0.0] * 14,
    "silver-1": [1024.0] * 14 + [4096.0] * 14,
    "silver-2": [1024.0] * 14 + [4096.0] * 14,
}
MARKS = [Mark("all busy", 0.2), Mark("gold idle", 14.3)]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_fit_and_shades_are_as_high_as_the_rates(width):
    lines = for_terminal(RATES, MARKS, width, colours=False).splitlines()
    assert max(map(len, lines[1:])) <= width
    assert not any("\x1b" in line for line in lines)
    column = width // 4  # all are busy there
    high = {shade: sum(line[column] == shade for line in lines[1:]) for shade in SHADES}
    assert high["█"] == pytest.approx(3 * high["▒"], abs=3)
    assert high["▓"] == pytest.approx(3 * high["░"], abs=3)
    column = 3 * width // 4  # gold is idle there
    high = {shade: sum(line[column] == shade for line in lines[1:]) for shade in SHADES}
    assert high["█"] == high["▓"] == 0
    assert high["▒"] == pytest.approx(high["░"], abs=1)
    assert high["▒"] >= 5


def test_a_wide_terminal_is_not_filled():
    assert max(map(len, for_terminal(RATES, MARKS, 300, colours=False).splitlines())) <= 100


def test_names_are_there():
    text = for_terminal(RATES, MARKS, 100, colours=False)
    assert all(name in text for name in (*RATES, "all busy", "gold idle", "seconds", "8192"))


def test_each_guest_has_a_colour():
    text = for_terminal(RATES, MARKS, 100, colours=True)
    assert all(f"38;5;{colour}m" in text for colour, dummy in LOOKS.values())
    assert not set(SHADES[1:]) & set(text)


def test_the_file_contains_all_that_it_needs(tmp_path):
    path = tmp_path / "picture.svg"
    for_browser(RATES, MARKS, "3 : 1 & <more>", path)
    root = ET.parse(path).getroot()
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "3 : 1 & <more>" in texts
    assert set(RATES) <= set(texts)
    assert {"0: all busy", "14: gold idle", "8,192"} <= set(texts)
    # Nothing is fetched, nothing runs.
    assert not [element.tag for element in root.iter() if element.tag.endswith(("}script", "}image", "}use"))]
    assert not [name for element in root.iter() for name in element.attrib if name.endswith("href")]
    assert "@import" not in path.read_text()
    assert "url(" not in path.read_text()


def test_a_short_run_has_its_marks_too(tmp_path):
    path = tmp_path / "picture.svg"
    short = {guest: values[:3] for guest, values in RATES.items()}
    for_browser(short, [Mark("all busy", 2.9)], "short", path)
    assert "2: all busy" in path.read_text()
    assert "all busy" in for_terminal(short, [Mark("all busy", 0.0)], 100, colours=False)
