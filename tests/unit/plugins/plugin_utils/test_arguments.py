# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options get their types and defaults, and every mistake is told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate

SPECIFICATION: dict[str, dict[str, Any]] = {
    "lines": {"type": "list", "elements": "str", "required": True},
    "timeout": {"type": "int", "default": 10},
    "live": {"type": "bool"},
}


def test_good_arguments_get_types_and_defaults() -> None:
    given = {"lines": "one", "timeout": "7"}
    assert validate("rng_test", SPECIFICATION, given) == ({"lines": ["one"], "timeout": 7, "live": None}, "")
    assert given == {"lines": "one", "timeout": "7"}
    assert validate("rng_test", SPECIFICATION, {"lines": [1], "live": "yes"})[0] == {
        "lines": ["1"],
        "timeout": 10,
        "live": True,
    }


UNSUPPORTED = (
    "Unsupported parameters for (fleet.rng.rng_test) module: bogus. Supported parameters include: lines, live, timeout."
)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({}, ["missing required arguments: lines"]),
        ({"lines": [], "bogus": 1}, [UNSUPPORTED]),
        ({"bogus": 1}, ["missing required arguments: lines", UNSUPPORTED]),
    ],
)
def test_all_mistakes_are_told_at_once(arguments: dict[str, Any], parts: list[str]) -> None:
    assert validate("rng_test", SPECIFICATION, arguments)[1] == "; ".join(parts)


@pytest.mark.parametrize("arguments", [{"timeout": "soon"}, {"timeout": 1.5}, {"live": "perhaps"}])
def test_a_value_of_another_type_is_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    assert name in validate("rng_test", SPECIFICATION, {"lines": [], **arguments})[1]
