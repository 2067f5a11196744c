# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own validator agrees with a real one, and says what is wrong where."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import merge
from ansible_collections.fleet.rng.plugins.plugin_utils.report.schema import HOST_SCHEMA, REPORT_SCHEMA
from ansible_collections.fleet.rng.plugins.plugin_utils.report.valid import mistake
from ansible_collections.fleet.rng.tests.fleet.generate import COLLECTED, documents
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

HOST = Draft202012Validator(HOST_SCHEMA)
DOCUMENTS = list(documents(16, 3))
JUNK = (None, True, 0, -1, 1.0, 1.5, "", "unlimited", "present", [], {}, [None], {"a": 1}, COLLECTED)

anything = st.recursive(
    st.sampled_from(JUNK) | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


PLACES = [places(document) for document in DOCUMENTS]


@given(st.integers(0, len(DOCUMENTS) - 1), st.integers(0, 10**6), st.sampled_from(["drop", "change"]), anything)
def test_it_finds_the_mistakes_that_a_real_validator_finds(index: int, at: int, how: str, value: Any) -> None:
    document = copy.deepcopy(DOCUMENTS[index])
    path = PLACES[index][1 + at % (len(PLACES[index]) - 1)]
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    if how == "drop":
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    assert (mistake(document, HOST_SCHEMA) is None) == HOST.is_valid(document)


def test_every_place_of_a_document_with_something_else_in_it() -> None:
    document, paths = DOCUMENTS[1], PLACES[1][1:]
    dice = random.Random(1)  # noqa: S311  the same in every run
    wrong = 0
    for path in paths:
        value = dice.choice(JUNK)
        changed = json.loads(json.dumps(document))
        inner: Any = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        found = mistake(changed, HOST_SCHEMA)
        assert (found is None) == HOST.is_valid(changed), (path, value, found)
        wrong += found is not None
    assert wrong > len(paths) / 2


def test_valid_documents() -> None:
    assert [mistake(document, HOST_SCHEMA) for document in DOCUMENTS] == [None] * len(DOCUMENTS)
    assert mistake(merge(DOCUMENTS, [], title="t", generated=COLLECTED), REPORT_SCHEMA) is None


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        ([], {"type": "object"}, "it is [], and has to be object"),
        ({"a": 1}, {"properties": {"a": {"type": ["string", "null"]}}}, "a is 1, and has to be string or null"),
        ({"a": [0, {}]}, {"properties": {"a": {"items": {"minimum": 1}}}}, "a[0] is 0, and has to be at least 1"),
        ({"a": {}}, {"properties": {"a": {"required": ["b"]}}}, "a has no b"),
        ({}, {"required": ["b"]}, "it has no b"),
        ({"x\n": 1}, {"additionalProperties": {"type": "null"}}, "[x\\x0a] is 1, and has to be null"),
        ("c", {"enum": ["a", None]}, "it is 'c', and has to be one of a, None"),
        (True, {"const": 1}, "it is True, and has to be 1"),
        ("a\n", {"pattern": "^a$"}, "it is 'a\\n', and has to be ^a$"),
        (1, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}, "it is 1, and has to be null"),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "it is 1, and has to be string"),
        (True, {"type": "integer"}, "it is True, and has to be integer"),
        ("\x1b[2J" * 100, {"type": "null"}, None),
    ],
)
def test_what_is_wrong_and_where(value: Any, schema: dict[str, Any], said: str | None) -> None:
    found = mistake(value, schema)
    assert found is not None
    assert found.isprintable()
    assert len(found) < 120
    assert said is None or found == said


def test_a_keyword_that_it_does_not_know_is_no_silent_pass() -> None:
    with pytest.raises(KeyError):
        mistake({}, {"oneOf": []})
