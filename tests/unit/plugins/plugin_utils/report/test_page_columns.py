# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns hold what rows held, and no text can leave them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page_columns
from hypothesis import given
from hypothesis import strategies as st


def unpacked(column: dict[str, Any], count: int) -> list[Any]:
    if "c" in column:
        return [column["c"]] * count
    return [column["d"][place] for place in column["i"]] if "d" in column else column["v"]


@pytest.mark.parametrize(
    ("values", "form"), [([1, 1, 1], "c"), (["a", "b", "a", "b"], "di"), (["a", "b", "c"], "v"), ([], "di")]
)
def test_the_smallest_form(values: list[Any], form: str) -> None:
    assert "".join(page_columns.packed(values)) == form


VALUES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]) | st.lists(st.integers(0, 1))


@given(st.lists(VALUES))
def test_nothing_is_lost(values: list[Any]) -> None:
    found = unpacked(page_columns.packed(values), len(values))
    assert [(type(value), value) for value in found] == [(type(value), value) for value in values]


@given(st.text())
def test_embedded_text_cannot_end_its_script(text: str) -> None:
    found = page_columns.embedded([text, "</script><!-- &\u2028\u2029"])
    assert not set("<>&\u2028\u2029") & set(found)
    assert json.loads(found)[0] == text
