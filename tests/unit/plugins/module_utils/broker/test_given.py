# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a JSON object key by key."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.given import Given, is_path, load


def test_what_is_not_valid_is_noted_and_the_default_goes_on() -> None:
    given = Given("", load('{"a": 1, "b": true, "c": "x", "d": 7}'))
    assert (given.boolean("a", True), given.number("b", 5, 0, 9), given.word("c", "y", ("y", "z"))) == (True, 5, "y")
    assert (given.number("d", 5, 0, 9), given.number("e", 6, 0, 9)) == (7, 6)
    given.end()
    assert given.mistakes == [
        "a: 1 is not valid; allowed: true or false",
        "b: True is not valid; allowed: a whole number from 0 to 9",
        "c: 'x' is not valid; allowed: y, z",
    ]


def test_keys_that_nobody_takes_are_named_with_the_nearest() -> None:
    given = Given("", load('{"borst": 1, "qqq": 2, "\\u001b[2J": 3}'))
    given.number("burst", 1, 1, 2)
    given.end()
    assert given.mistakes == [
        "borst: no such key; did you mean burst?",
        "qqq: no such key; known: burst",
        "\\x1b[2J: no such key; known: burst",
    ]


def test_a_key_that_is_there_twice_is_noted_where_it_is() -> None:
    given = Given("", load('{"list": [{"name": "n", "a": 1, "a": 2}, {"a": 1, "a": 1}]}'))
    assert [one.where for one in given.objects("list", [], "name")] == ["list[n].", "list[1]."]
    assert given.mistakes == ["list[n].a: is there twice", "list[1].a: is there twice"]


@pytest.mark.parametrize("text", ["", "{", "[" * 100000, '{"a": NaN}', '{"a": -Infinity}', "1" * 5000 + "x"])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(text)


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/a", True),
        ("/run/virtrngd/größe 1.sock", True),
        ("/" + "a" * 19, True),
        ("/" + "a" * 20, False),
        ("/" + "ä" * 10, False),
        ("", False),
        ("/", False),
        ("a", False),
        ("//a", False),
        ("/a/", False),
        ("/a/../b", False),
        ("/a/./b", False),
        ("/a\x00", False),
        ("/a\n", False),
        ("/\ud800", False),
        (None, False),
        (["/a"], False),
    ],
)
def test_a_path_is_absolute_short_and_can_be_seen(path: object, good: bool) -> None:
    assert is_path(path, 40 if isinstance(path, str) and "run" in path else 20) is good
