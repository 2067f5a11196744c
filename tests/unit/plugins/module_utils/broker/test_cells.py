# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, times and cells: what they say, and that they keep to their width."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.cells import (
    AS_TEXT,
    BAD,
    PLAIN,
    Style,
    amount,
    drawn,
    duration,
    fitted,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (63.6, "64 B"),
        (1023, "1023 B"),
        (1023.9, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (102297, "99.9 KiB"),
        (102400, "100 KiB"),
        (1048575, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2**60, "1024 PiB"),
        (10**30, "9999 PiB"),
    ],
)
def test_amounts(count: float, expected: str) -> None:
    assert amount(count) == expected


@given(st.floats(0, 1e40))
def test_an_amount_keeps_to_its_column(count: float) -> None:
    assert len(amount(count)) <= 8


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (-1, "0.0 s", "0 s"),
        (0.04, "0.0 s", "0 s"),
        (0.26, "0.3 s", "0 s"),
        (9.94, "9.9 s", "10 s"),
        (9.96, "10 s", "10 s"),
        (59.7, "60 s", "60 s"),
        (60, "1 min", "1 min"),
        (3599, "59 min", "59 min"),
        (3661, "1 h", "1 h 1 min"),
        (86400 * 3 + 3600 * 4 + 59, "76 h", "3 d 4 h"),
        (86400 * 30, "30 d", "30 d 0 h"),
    ],
)
def test_durations(seconds: float, short: str, long: str) -> None:
    assert duration(seconds, 1) == short
    assert duration(seconds) == long


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web1", "web1  "),
        ("web123", "web123"),
        ("web1234", "web1.."),
        ("\u6570\u636e\u5e93", "\u6570\u636e\u5e93"),
        ("\u6570\u636e\u5e93\u5e93", "\u6570\u636e.."),
        ("a\u6570\u636e\u5e93", "a\u6570.. "),
        ("e\u0301e\u0301", "e\u0301e\u0301    "),
        ("", "      "),
    ],
)
def test_cells_are_as_wide_as_they_look(text: str, expected: str) -> None:
    assert fitted(text, 6) == expected


def test_a_line_is_cut_and_then_coloured() -> None:
    lines = [[("web1   ", PLAIN), ("failed", BAD), ("and more", PLAIN)], []]
    assert drawn(lines, 12, AS_TEXT) == "web1   fai..\n\n"
    assert drawn(lines, 12, Style(colours=True)) == "web1   \x1b[1;31mfai..\x1b[0m\n\n"
    assert drawn(lines, 8, AS_TEXT) == "web1\n\n"


def test_bars_can_do_without_blocks() -> None:
    assert Style(blocks=False).signs == ("#", "+", ".")
    assert len(set(AS_TEXT.signs)) == 3
