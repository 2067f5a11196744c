# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which classes a hypervisor's broker has, and which of them a guest belongs to. Rates are in broker_rates.

A class is an inventory group of guests, or an entry of ``rng_broker_classes``. A guest's device leads to the socket of
its class, whose path is the same on every hypervisor, so that the guest can move. Guests that are directly in a class
with classes below it get one of their own there, for only classes without others below them have sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import DIRECTORY, is_class_name
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError, RngError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import (
    FIELDS,
    Fleet,
    InventoryGroup,
    deepest,
    group_values,
    named,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import some
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import (
    BROKER,
    BROKER_PREFIX,
    usable,
)

DEFAULT_CLASS = "default"
OWN = ".own"  # what the class is called that holds the guests which are directly in another
CLASS_KEYS = (*FIELDS, "parent")
CLASSES_VARIABLE, RATE_VARIABLE = BROKER_PREFIX + "classes", BROKER_PREFIX + "host_rate"

_NAMES = "1 to 64 letters of a to z, digits and _.-, the first no . or -"
_TAKEN = "control"  # the daemon's own socket


@dataclass(frozen=True)
class BrokerHost:
    """What a hypervisor's variables say: its ``rng_broker_classes``, its total rate, and the sources of its guests."""

    name: str
    classes: Any = None
    rate: Any = None
    sources: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        return f"hypervisor {printable(self.name, 80)}"

    @classmethod
    def of(cls, name: str, classes: Any, rate: Any, policy: Mapping[str, Any]) -> BrokerHost:
        """:param policy: its variables ``virtio_rng_*``, without that prefix."""
        overrides = policy.get("overrides")
        entries = overrides if isinstance(overrides, list | tuple) else ()
        sources = [entry.get("source") for entry in entries if isinstance(entry, Mapping)]
        return cls(name, classes, rate, (policy.get("source"), *sources))


def socket_of(name: str) -> str:
    return f"{DIRECTORY}/{name}.sock"


@dataclass(frozen=True)
class BrokerClass:
    """A class before its rates are known.

    :param group: the inventory group that it is, if it is one.
    :param entry: what ``rng_broker_classes`` says of it.
    """

    name: str
    group: InventoryGroup | None = None
    parent: str | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    own_of: str = ""  # the class whose direct guests it holds

    @property
    def words(self) -> str:
        return self.group.words if self.group else f"class {printable(self.name, 80)}"


class Classes:
    """The classes of one hypervisor.

    :param values: the variables of the groups as this hypervisor sees them.
    """

    def __init__(self, host: BrokerHost, fleet: Fleet, values: Mapping[str, Mapping[str, Any]]) -> None:
        self.host = host
        self.mistakes: dict[str, str] = {}  # by class, or by group where that cannot be one
        self._groups = {name: replace(group, variables=values[name]) for name, group in fleet.groups.items()}
        sources = [group.variables.get("source") for group in self._groups.values()]
        self._named = fleet.named | named((*sources, *host.sources))
        self._read_badly = [
            f"{group.words}: its variables cannot be read: {group.problem}"
            for group in self._groups.values()
            if group.problem
        ]
        entries = self._entries()
        chosen = self._chosen_groups()
        self._members = fleet.members(chosen)
        self.classes: dict[str, BrokerClass] = {}
        for name in sorted({DEFAULT_CLASS, *chosen, *entries}):
            group = self._groups[name] if name in chosen else None
            entry = entries.get(name, {})
            parent = self._parent(name, entry, chosen, {*chosen, *entries, DEFAULT_CLASS})
            self.classes[name] = BrokerClass(name, group, parent, entry)
            self._check_name(self.classes[name])
        self._refuse_cycles()
        self._give_inner_ones_their_own({DEFAULT_CLASS, *self._named, *fleet.direct(self._members)})

    @classmethod
    def seen_by(cls, host: BrokerHost, fleet: Fleet, template: Callable[[Any], Any]) -> Classes:
        """With the groups' variables templated for this hypervisor."""
        values = {name: group_values(group.variables, template) for name, group in fleet.groups.items()}
        return cls(host, fleet, values)

    def everything_wrong(self) -> list[str]:
        return [*self._read_badly, *self.mistakes.values()]

    def children(self, name: str | None) -> list[BrokerClass]:
        return [one for one in self.classes.values() if one.parent == name]

    def leaf(self, word: str, guest: str | None) -> tuple[str, str]:
        """The class without others below it that ``broker`` or ``broker:<class>`` means for a guest, and why.

        :param guest: the inventory host that it is, or None.
        :raises RngError: words that follow the variable, when there is no such class, or no telling which.
        """
        if word != BROKER:
            name, why = word.removeprefix(BROKER + ":"), "as it is named"
            if name not in self.classes and CLASSES_VARIABLE in self.mistakes:
                raise RngError(self.mistakes[CLASSES_VARIABLE])
            if name not in self.classes:
                raise InvalidValueError("", word, self._what_is_there(name))
        elif self._read_badly:
            raise RngError("; ".join(self._read_badly[:3]))
        else:
            name, why = self._deepest(guest)
        inner = self.classes.get(name + OWN)
        leaf = name if inner is None or inner.own_of != name else inner.name
        for one in (leaf, *self._above(leaf)):
            if one in self.mistakes:
                raise RngError(self.mistakes[one])
        return leaf, why

    def _deepest(self, guest: str | None) -> tuple[str, str]:
        if guest is None:
            return DEFAULT_CLASS, "for guests that are not in the inventory"
        found = self._members.of.get(guest, [])
        if not found:
            return DEFAULT_CLASS, "for guests in no group that is a class"
        if len(found) > 1:
            raise RngError(
                f"it is in {len(found)} groups that are classes of the broker, {some(sorted(found))}; "
                f"name the one that is meant, as in {BROKER}:{printable(sorted(found)[0], 64)}"
            )
        return found[0], "of its group"

    def _what_is_there(self, wanted: str) -> str:
        usable_names = sorted(name for name, one in self.classes.items() if not one.own_of)
        near = get_close_matches(wanted, usable_names, 1)
        hint = f"; did you mean {BROKER}:{near[0]}?" if near else ""
        return (
            f"{BROKER}, or {BROKER}: and an inventory group of guests or an entry of {CLASSES_VARIABLE} of "
            f"{self.host.words}; classes there: {printable(', '.join(usable_names), 300)}{hint}"
        )

    def _above(self, name: str) -> list[str]:
        found: list[str] = []
        parent = self.classes[name].parent
        while parent is not None and parent not in found:
            found.append(parent)
            parent = self.classes[parent].parent
        return found

    def _entries(self) -> dict[str, Mapping[str, Any]]:
        given, variable = self.host.classes, f"{self.host.words}: {CLASSES_VARIABLE}"
        if given is None:
            return {}
        try:
            usable(variable, given)
        except RngError as error:
            self.mistakes[CLASSES_VARIABLE] = str(error)
            return {}
        if not isinstance(given, Mapping):
            wrong = InvalidValueError(variable, given, f"a mapping of names to {', '.join(CLASS_KEYS)}")
            self.mistakes[CLASSES_VARIABLE] = str(wrong)
            return {}
        found: dict[str, Mapping[str, Any]] = {}
        for key, entry in given.items():
            name = str(key)
            found[name] = entry if isinstance(entry, Mapping) else {}
            unknown = [str(one) for one in found[name] if one not in CLASS_KEYS]
            where = f"{variable}.{printable(name, 80)}"
            if entry is not None and not isinstance(entry, Mapping):
                self.mistakes[name] = str(InvalidValueError(where, entry, f"a mapping of {', '.join(CLASS_KEYS)}"))
            elif unknown:
                near = get_close_matches(unknown[0], CLASS_KEYS, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                self.mistakes[name] = str(InvalidValueError(where, unknown[0], ", ".join(CLASS_KEYS) + hint))
        return found

    def _chosen_groups(self) -> list[str]:
        """The groups that are classes."""
        chosen = []
        for name, group in sorted(self._groups.items()):
            given = [key for key in FIELDS if group.variables.get(key) is not None]
            if group.may_be_class and (given or name in self._named or group.variables.get("source") == BROKER):
                chosen.append(name)
            elif given:
                self.mistakes[name] = self._no_class(group, given[0])
        return chosen

    @staticmethod
    def _no_class(group: InventoryGroup, given: str) -> str:
        why = f"it holds the hypervisor {printable(group.apart, 80)}" if group.apart else "it holds every machine"
        hint = f"; {BROKER_PREFIX}host_rate is what a hypervisor gives altogether" if given == "rate" else ""
        return (
            f"{group.words}: {BROKER_PREFIX}{given}: {why}, so it is no class of the broker; "
            f"set it on a group of guests{hint}"
        )

    def _parent(self, name: str, entry: Mapping[str, Any], chosen: list[str], known: set[str]) -> str | None:
        if "parent" in entry:
            parent = entry["parent"]
            if parent is None or (isinstance(parent, str) and parent in known and parent != name):
                return parent
            variable = f"{self.host.words}: {CLASSES_VARIABLE}.{printable(name, 80)}.parent"
            others = some(sorted(known - {name}))
            self.mistakes[name] = str(InvalidValueError(variable, parent, f"null, or another class: {others}"))
            return None
        if name not in chosen:
            return None
        above = [other for other in chosen if other in self._groups[name].ancestors]
        nearest = deepest(self._groups, above)
        if len(nearest) > 1:
            self.mistakes[name] = (
                f"{self._groups[name].words}: it is in {len(nearest)} groups that are classes of the broker, "
                f"{some(sorted(nearest))}, and neither is within the other; say which one it shares with, in "
                f"{CLASSES_VARIABLE}.{printable(name, 64)}.parent of the hypervisors"
            )
        return nearest[0] if len(nearest) == 1 else None

    def _check_name(self, one: BrokerClass) -> None:
        if not is_class_name(one.name) or one.name == _TAKEN:
            what = f"the name of the {one.words}" if one.group else f"{self.host.words}: {CLASSES_VARIABLE}"
            taken = f", and not {_TAKEN}, which is the daemon's own socket" if one.name == _TAKEN else ""
            self.mistakes[one.name] = str(InvalidValueError(what, one.name, f"as a class, {_NAMES}{taken}"))

    def _refuse_cycles(self) -> None:
        for name in list(self.classes):
            if name in self._above(name):
                variable = f"{self.host.words}: {CLASSES_VARIABLE}"
                ring = " -> ".join(printable(one, 64) for one in [name, *self._above(name)])
                self.mistakes.setdefault(name, f"{variable}: classes that are each other's parents: {ring}")

    def _give_inner_ones_their_own(self, direct: set[str]) -> None:
        inner = {one.parent for one in self.classes.values() if one.parent is not None}
        for name in sorted(inner & direct):
            own = BrokerClass(name + OWN, parent=name, own_of=name)
            if own.name in self.classes:
                self.mistakes[own.name] = (
                    f"{self.classes[own.name].words}: its name is that of the class for guests directly in {name}"
                )
            else:
                self.classes[own.name] = own
                self._check_name(own)


class Sockets:
    """Turns ``broker`` and ``broker:<class>`` into the sources of one hypervisor's guests.

    :param classes: called when the first guest asks, so that it costs nothing where no guest does.
    """

    def __init__(self, classes: Callable[[], Classes]) -> None:
        self._find = classes
        self._classes: Classes | None = None

    def __call__(self, word: str, guest: str | None) -> tuple[str, str]:
        """The source, and where its class came from.

        :raises RngError: as :meth:`Classes.leaf`.
        """
        if self._classes is None:
            self._classes = self._find()
        name, why = self._classes.leaf(word, guest)
        return f"egd+unix:{socket_of(name)}", f"class {name} {why}"
