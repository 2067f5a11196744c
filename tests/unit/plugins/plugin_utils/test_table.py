# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns and paragraphs as a terminal shows them."""

from __future__ import annotations

from ansible_collections.fleet.rng.plugins.plugin_utils.table import (
    columns,
    explained,
    heads,
    numbers,
    width_of,
    wrapped,
)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([("a", "b"), ("long", "c"), ("x", "")]) == ["a     b", "long  c", "x"]
    assert columns([]) == []


def test_wide_and_combining_characters_keep_columns_straight() -> None:
    assert width_of("\u6f22") == 2
    assert width_of("e\u0301") == 1
    assert columns([("\u6f22", "|"), ("ab", "|")]) == ["\u6f22  |", "ab  |"]


def test_heads_leave_out_columns_that_are_empty_everywhere() -> None:
    assert heads([("hv1", "", "x"), ("hv22", "", "y")]) == ["hv1   x  ", "hv22  y  "]


def test_counts_stand_below_their_names() -> None:
    assert numbers("host", ("guests", "off"), [("hv1", {"guests": 12}), ("lost1", None)]) == [
        "host   guests  off",
        "hv1        12    0",
        "lost1       -    -",
    ]


def test_texts_begin_below_each_other_and_end_at_a_limit() -> None:
    rows = [(("hv1", "a"), "one two"), (("h", "bc"), "three"), (("x", "y"), "four")]
    assert explained(rows, 19, 2) == ["hv1  a   one two", "h    bc  three", "... and 1 more"]
    assert explained([], 80) == []


def test_a_paragraph_goes_on_below_its_first_line() -> None:
    assert wrapped("web1  ", "one two three", 14) == ["web1  one two", "      three"]


def test_below_a_very_long_head_it_begins_further_left() -> None:
    assert wrapped("a-very-long-head  ", "one two three", 22) == ["a-very-long-head  one", "    two three"]
