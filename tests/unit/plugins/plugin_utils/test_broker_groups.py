# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's groups as brokers see them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import (
    Fleet,
    InventoryGroup,
    Members,
    deepest,
    group_values,
    named,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated

GROUPS = {
    "top": InventoryGroup("top", frozenset(), ["t1", "a1", "b1"]),
    "a": InventoryGroup("a", frozenset({"top"}), ["a1"]),
    "b": InventoryGroup("b", frozenset({"top"}), ["b1", "a1"]),
}


def test_the_deepest_hold_none_of_the_others() -> None:
    assert deepest(GROUPS, ["top", "a", "b"]) == ["a", "b"]
    assert deepest(GROUPS, ["top"]) == ["top"]
    assert deepest(GROUPS, []) == []


def test_members_are_in_the_deepest_classes() -> None:
    assert Members(GROUPS, ["b", "top"]).of == {"t1": ["top"], "a1": ["b"], "b1": ["b"]}


def test_direct_are_the_classes_of_guests_that_may_ask() -> None:
    fleet = Fleet(GROUPS, {"t1": None, "a1": "/dev/urandom", "b1": "broker", "x1": "broker:x"})
    members = fleet.members(["a", "b", "top"])
    assert fleet.direct(members) == {"top", "b"}
    assert fleet.members(["a", "b", "top"]) is members
    assert fleet.named == {"x"}


@pytest.mark.parametrize(
    "group", [InventoryGroup("all", frozenset()), InventoryGroup("site", frozenset(), apart="hv1")]
)
def test_no_classes(group: InventoryGroup) -> None:
    assert not group.may_be_class
    assert GROUPS["a"].may_be_class


def test_what_sources_name() -> None:
    sources: list[Any] = ["broker:a", "broker", "broker:", "/dev/urandom", "brokers:b", None, 5, Untemplated("no")]
    assert named(sources) == {"a", ""}


def test_only_what_may_be_a_template_is_templated() -> None:
    asked = []

    def template(value: Any) -> Any:
        asked.append(value)
        return Untemplated("no") if value == "{{ tier }}" else 5

    assert group_values({"rate": "{{ five }}", "ceil": 6, "burst": "7", "priority": None}, template) == {
        "rate": 5,
        "ceil": 6,
        "burst": "7",
        "priority": None,
    }
    assert asked == ["{{ five }}"]


def test_a_source_that_needs_a_guests_variables_says_nothing_of_the_group() -> None:
    assert group_values({"source": "{{ tier }}", "rate": "{{ tier }}"}, lambda dummy: Untemplated("no")) == {
        "rate": Untemplated("no")
    }
