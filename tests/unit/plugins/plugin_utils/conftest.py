# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that tests of several files share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import BrokerHost, Classes
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import Fleet, InventoryGroup
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated


def groups(given: Mapping[str, Mapping[str, Any]]) -> dict[str, InventoryGroup]:
    """``in`` names the groups that hold a group; ``hosts`` are those that no group in it has. The rest is variables."""
    above: dict[str, frozenset[str]] = {}

    def ancestors(name: str) -> frozenset[str]:
        if name not in above:
            direct = given[name].get("in", [])
            above[name] = frozenset(direct).union(*(ancestors(one) for one in direct))
        return above[name]

    found = {}
    for name, group in given.items():
        variables = {key: value for key, value in group.items() if key not in ("in", "hosts", "apart", "problem")}
        hosts = [
            host for other in given if other == name or name in ancestors(other) for host in hosts_of(given[other])
        ]
        found[name] = InventoryGroup(
            name, ancestors(name), hosts, variables, group.get("problem", ""), group.get("apart", "")
        )
    return found


def hosts_of(group: Mapping[str, Any]) -> list[str]:
    return list(group.get("hosts", []))


def value(given: Any) -> Any:
    """A value as a template left it."""
    return Untemplated(given["untemplated"]) if isinstance(given, dict) and "untemplated" in given else given


@pytest.fixture
def classes() -> Callable[[Mapping[str, Any]], Classes]:
    """What makes the classes of an inventory of cases/broker/classes.json, in its short spelling."""

    def make(case: Mapping[str, Any]) -> Classes:
        host = case.get("host", {})
        seen = BrokerHost("hv1", host.get("classes"), host.get("rate"), tuple(host.get("sources", ())))
        return Classes.seen_by(seen, Fleet(groups(case["groups"]), case["guests"]), value)

    return make
