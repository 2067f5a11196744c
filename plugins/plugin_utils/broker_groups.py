# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's groups as brokers see them: which may be classes, and which of those a guest is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import BROKER, Untemplated, is_broker

FIELDS = ("rate", "ceil", "burst", "priority")  # what makes a group a class, where it sets one of them
EVERYBODY = ("all", "ungrouped")


@dataclass(frozen=True)
class InventoryGroup:
    """A group of the inventory.

    :param ancestors: the groups above it.
    :param hosts: all its hosts, with those of the groups below it.
    :param variables: its own, and only those that the broker needs.
    :param problem: why they could not be read, if so.
    :param apart: a hypervisor that it holds; such a group is no class.
    """

    name: str
    ancestors: frozenset[str]
    hosts: Sequence[str] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    apart: str = ""

    @property
    def words(self) -> str:
        return f"group {printable(self.name, 80)}"

    @property
    def may_be_class(self) -> bool:
        return not self.apart and self.name not in EVERYBODY


class Members:
    """Which of the groups that are classes each guest is in, without those above these."""

    def __init__(self, groups: Mapping[str, InventoryGroup], chosen: Sequence[str]) -> None:
        found: dict[str, list[str]] = {}
        for name in chosen:
            for guest in groups[name].hosts:
                found.setdefault(guest, []).append(name)
        self.of = {guest: deepest(groups, names) if len(names) > 1 else names for guest, names in found.items()}


def deepest(groups: Mapping[str, InventoryGroup], names: Sequence[str]) -> list[str]:
    """Those of the groups that hold none of the others."""
    return [name for name in names if not any(name in groups[other].ancestors for other in names)]


class Fleet:
    """What all hypervisors have in common.

    :param groups: of the inventory, by name.
    :param guests: the inventory's guests, each with the source that it sets itself, or None.
    """

    def __init__(self, groups: Mapping[str, InventoryGroup], guests: Mapping[str, Any]) -> None:
        self.groups, self.guests = groups, guests
        self.named = named(guests.values())
        self._members: dict[tuple[str, ...], Members] = {}

    def members(self, chosen: Sequence[str]) -> Members:
        key = tuple(chosen)
        if key not in self._members:
            self._members[key] = Members(self.groups, chosen)
        return self._members[key]

    def direct(self, members: Members) -> set[str]:
        """The classes that have guests of the inventory which ask for the broker, or may be given it."""
        asking = (guest for guest, source in self.guests.items() if source is None or source == BROKER)
        return {name for guest in asking for name in members.of.get(guest, ())}


def named(words: Iterable[Any]) -> set[str]:
    """The classes that sources name."""
    return {word.removeprefix(BROKER + ":") for word in words if is_broker(word) and word != BROKER}


def group_values(group: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """A group's variables as a hypervisor sees them; a source whose template needs a guest's variables says nothing."""
    found = {name: template(value) if _may_be_template(value) else value for name, value in group.items()}
    if isinstance(found.get("source"), Untemplated):
        del found["source"]
    return found


def _may_be_template(value: Any) -> bool:
    """Templating takes longer than all the rest, and most values are plain."""
    return not (value is None or isinstance(value, int | float) or (isinstance(value, str) and "{" not in value))
