# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which classes there are, and which of them each guest is in, by the table of cases/broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import BrokerHost, Classes, Sockets, socket_of

CASES = json.loads((Path(__file__).parents[2] / "cases" / "broker" / "classes.json").read_text(encoding="utf-8"))
Make = Callable[[Mapping[str, Any]], Classes]


@pytest.mark.parametrize("case", [case for case in CASES if "parents" in case], ids=lambda case: case["name"])
def test_groups_and_entries_become_classes(case: Mapping[str, Any], classes: Make) -> None:
    found = classes(case)
    assert {name: one.parent for name, one in found.classes.items()} == case["parents"]
    assert {name for name, one in found.classes.items() if one.group} == set(case["groups"]) & set(case["parents"])


LEAVES = [
    pytest.param(case, question, answer, id=f"{case['name']}: {question}")
    for case in CASES
    for question, answer in case.get("leaves", {}).items()
]


@pytest.mark.parametrize(("case", "question", "answer"), LEAVES)
def test_a_guest_gets_a_class_or_a_reason(case: Mapping[str, Any], question: str, answer: str, classes: Make) -> None:
    found = classes(case)
    name, word = question.split(" ")
    guest = None if name == "-" else name
    if answer in found.classes:
        assert found.leaf(word, guest)[0] == answer
    else:
        with pytest.raises(RngError) as caught:
            found.leaf(word, guest)
        assert answer in str(caught.value)


def test_a_socket_says_where_its_class_came_from_and_finds_the_classes_once(classes: Make) -> None:
    asked = []

    def find() -> Classes:
        asked.append(1)
        return classes(CASES[1])

    sockets = Sockets(find)
    assert asked == []
    assert sockets("broker", "g1") == ("egd+unix:/run/virtrngd/gold.sock", "class gold of its group")
    assert sockets("broker:gold", None) == ("egd+unix:/run/virtrngd/gold.sock", "class gold as it is named")
    assert sockets("broker", "o1")[1] == "class guests.own of its group"
    assert sockets("broker", "stranger")[1] == "class default for guests in no group that is a class"
    assert sockets("broker", None)[1] == "class default for guests that are not in the inventory"
    assert asked == [1]


def test_the_socket_is_the_same_everywhere() -> None:
    assert socket_of("gold") == "/run/virtrngd/gold.sock"


@pytest.mark.parametrize(
    ("policy", "sources"),
    [
        ({}, (None,)),
        (
            {"source": "broker", "overrides": [{"match": "a", "source": "broker:x"}, {"match": "b"}, 5]},
            ("broker", "broker:x", None),
        ),
        ({"overrides": "nonsense"}, (None,)),
    ],
)
def test_overrides_name_classes_too(policy: Mapping[str, Any], sources: tuple[Any, ...]) -> None:
    assert BrokerHost.of("hv1", None, 5, policy) == BrokerHost("hv1", None, 5, sources)


def test_names_are_made_printable(classes: Make) -> None:
    case = {"host": {"classes": {"a\x1bb": {"ratio": 1}}}, "groups": {"g\x1b": {"rate": 1}}, "guests": {}}
    found = classes(case)
    assert "\x1b" not in "".join(found.everything_wrong())
    with pytest.raises(RngError, match=r"^: 'broker:\\x1b' is not valid; .* classes there: a\\x1bb, default, g\\x1b"):
        found.leaf("broker:\x1b", None)
