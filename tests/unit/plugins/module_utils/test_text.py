# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making text of others fit to be shown."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("virtio_rng.0", "virtio_rng.0"),
        ("näme with späces", "näme with späces"),
        ("日本 🎲", "日本 🎲"),
        ("{{ 7 * 7 }} ; `reboot`", "{{ 7 * 7 }} ; `reboot`"),
        ("a\nb\tc\r", r"a\x0ab\x09c\x0d"),
        ("\x1b[2J\x07\x7f", r"\x1b[2J\x07\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("\u200b\ufeff\u2028", r"\u200b\ufeff\u2028"),
        ("\xa0\xad", r"\xa0\xad"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("a" * 10**6, 200, "a" * 197 + "..."),
        ("ab\x1b\x1b", 10, r"ab\x1b\x1b"),
        ("ab\x1b\x1bc", 10, r"ab\x1b..."),  # an escape is not cut in two
        ("\x1b\x1b", 6, "..."),
        ("abc", 0, "abc"),
        ("abcd", 0, "..."),
    ],
)
def test_a_long_text_is_cut(text: str, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown


@given(st.text(st.characters(exclude_categories=[])), st.integers(3, 50))
def test_any_text_becomes_short_and_harmless(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    shown.encode("utf-8")
