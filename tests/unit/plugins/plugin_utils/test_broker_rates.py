# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the classes are guaranteed, and what cannot be kept, by the table of cases/broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import Classes
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_rates import Shape, shapes

CASES = json.loads((Path(__file__).parents[2] / "cases" / "broker" / "classes.json").read_text(encoding="utf-8"))
Make = Callable[[Mapping[str, Any]], Classes]


@pytest.mark.parametrize("case", [case for case in CASES if "rates" in case], ids=lambda case: case["name"])
def test_rates(case: Mapping[str, Any], classes: Make) -> None:
    found = shapes(classes(case))[0]
    assert {name: found[name].rate for name in case["rates"]} == case["rates"]


@pytest.mark.parametrize("case", [case for case in CASES if "wrong" in case], ids=lambda case: case["name"])
def test_all_mistakes_are_told_at_once(case: Mapping[str, Any], classes: Make) -> None:
    with pytest.raises(RngError) as caught:
        shapes(classes(case))
    assert [line for line in case["wrong"] if line not in str(caught.value)] == []


def test_every_case_is_used() -> None:
    assert [case["name"] for case in CASES if not {"rates", "wrong", "parents"} & set(case)] == []


def test_the_hypervisors_entry_wins_field_by_field(classes: Make) -> None:
    (case,) = [case for case in CASES if case["name"] == "entries of the hypervisor add classes and override groups"]
    found, host = shapes(classes(case))
    assert found["gold"] == Shape(30720, None, None, 2)
    assert found["default"] == Shape(7, None, 1000, None)
    assert host is None


def test_the_rate_of_the_host(classes: Make) -> None:
    case = {"groups": {}, "guests": {}, "host": {"rate": "65"}}
    assert shapes(classes(case)) == ({"default": Shape(64)}, 65)
    case["host"] = {"rate": "unlimited"}
    assert shapes(classes(case)) == ({"default": Shape(64)}, None)
