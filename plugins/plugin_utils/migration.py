# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that move: is the source of each safe on every hypervisor that it may move to?

A hypervisor names inventory groups whose hypervisors its guests may move to. A group is judged once for each source
that its guests want, not once for each guest or pair of hypervisors, so a group of a thousand stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import DIRECTORY
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import some
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import BROKER, PREFIX, usable

_BROKER_SOCKETS = f"egd+unix:{DIRECTORY}/"

REFUSE, WARN, IGNORE = "refuse", "warn", "ignore"
MODES = (REFUSE, WARN, IGNORE)
GROUPS_VARIABLE, MODE_VARIABLE, SOURCES_VARIABLE = (
    PREFIX + name for name in ("migration_groups", "migration", "sources")
)


@dataclass(frozen=True)
class Destination:
    """What is known of a hypervisor that was observed: which sources were tried there, and what its QEMU offers."""

    tried: Mapping[str, str | None]  # why a source is not safe there, or None where it is
    kinds: tuple[str, ...]

    def objection(self, source: Source) -> str:
        """Why a guest with this source should not come here, as words that follow the source; empty: it may."""
        if source.kind not in self.kinds:
            return f"is not on offer: QEMU there has {', '.join(self.kinds) or 'none'}"
        if source.kind == "builtin":
            return ""
        name = str(source)
        if name.startswith(_BROKER_SOCKETS) and name not in self.tried and BROKER in self.tried:
            why = self.tried[BROKER]
            return f"is not served: {printable(str(why), 200)}" if why else "is no class of the broker there"
        if name not in self.tried:
            return f"was not tried: {SOURCES_VARIABLE} and {GROUPS_VARIABLE} of that hypervisor say what is"
        why = self.tried[name]
        return "" if why is None else f"is not safe: {printable(str(why).removeprefix(f'source {name}: '), 300)}"


@dataclass(frozen=True)
class Rules:
    """What the variables of one hypervisor say about its guests; without groups, or with ``ignore``, nothing."""

    groups: tuple[str, ...] = ()
    mode: str = REFUSE

    @property
    def hold(self) -> bool:
        return bool(self.groups) and self.mode != IGNORE


@dataclass
class _Risk:
    """One source in one group: who would not take it, and the guests that want it."""

    objections: dict[str, str]
    guests: list[tuple[str, str]] = field(default_factory=list)  # hypervisor, guest; only those that are warned of


class Migration:
    """The migration groups of one plan.

    :param groups: the inventory's groups.
    :param destinations: the hypervisors that were observed.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]], destinations: Mapping[str, Destination]) -> None:
        self._groups = groups
        self._members: dict[str, frozenset[str]] = {}
        self._destinations = destinations
        self._risks: dict[tuple[str, Source], _Risk] = {}
        self._leaving: dict[str, set[str]] = {}  # by group, the hypervisors that have guests to be judged
        self._definitions: dict[tuple[str, str], list[str]] = {}

    def rules(self, host: str, variables: Mapping[str, object]) -> Rules:
        """What a hypervisor's variables say; raises where they cannot be meant."""
        subject = f"hypervisor {printable(host, 80)}: "
        mode = variables.get("migration")
        usable(subject + MODE_VARIABLE, mode)
        if mode is not None and mode not in MODES:
            raise InvalidValueError(subject + MODE_VARIABLE, mode, ", ".join(MODES))
        names = variables.get("migration_groups")
        usable(subject + GROUPS_VARIABLE, names)
        if names is None:
            return Rules()
        if not isinstance(names, list | tuple):
            raise InvalidValueError(subject + GROUPS_VARIABLE, names, "a list of names of inventory groups")
        for name in names:
            if not isinstance(name, str) or not self._holds(name, host):
                holding = [group for group in sorted(self._groups) if group != "all" and self._holds(group, host)]
                allowed = f"the names of inventory groups that hold this hypervisor: {some(holding) or 'it is in none'}"
                raise InvalidValueError(subject + GROUPS_VARIABLE, name, allowed)
        return Rules(tuple(dict.fromkeys(names)), str(mode or REFUSE))

    def refusal(self, rules: Rules, host: str, guest: str, source: Source) -> str:
        """Why the guest cannot have the source, empty when it can; what is only to be warned of is kept."""
        if not rules.hold:
            return ""
        refused = ""
        for group in rules.groups:
            risk = self._risk(group, source)
            self._leaving.setdefault(group, set()).add(host)
            elsewhere = len(risk.objections) - (host in risk.objections)
            if not elsewhere:
                continue
            if rules.mode == WARN:
                risk.guests.append((host, guest))
            elif not refused:
                there = next(name for name in risk.objections if name != host)
                more = f" ({elsewhere - 1} more of the group object as well)" if elsewhere > 1 else ""
                refused = (
                    f"guest {printable(guest, 80)} may move to {printable(there, 80)} ({GROUPS_VARIABLE}: "
                    f"{printable(group, 80)}), where source {source} {risk.objections[there]}{more}; "
                    f"give it another source, or set {MODE_VARIABLE} to {WARN}"
                )
        return refused

    def other_definitions(
        self, rules: Rules, guest: str, wanted: RngDevice | None, copies: Iterable[tuple[str, ObservedGuest]]
    ) -> list[str]:
        """What definitions of the guest that were left behind in its groups have instead of what it is to have.

        Never a refusal: the guest itself can be made right, and only whoever moved it can take away what it left.
        """
        found = []
        for host, copy in copies if rules.hold else ():
            has = copy.config
            if has is None or copy.error or not any(self._holds(group, host) for group in rules.groups):
                continue
            if any(item.device == wanted for item in has) if wanted else not has:
                continue
            devices = printable(" + ".join(str(item) for item in has) or "no RNG", 200)
            self._definitions.setdefault((host, devices), []).append(guest)
            found.append(
                f"{printable(host, 80)} has another definition of it, with {devices}; undefine it there, or the guest "
                "has that after a start there"
            )
        return found if rules.mode == REFUSE else []

    def warnings(self) -> list[str]:
        """One line for each group and source and what is wrong with it, whatever the number of hypervisors."""
        return [*self._of_sources(), *self._of_the_unseen(), *self._of_definitions()]

    def _holds(self, group: str, host: str) -> bool:
        if group not in self._members:
            self._members[group] = frozenset(self._groups.get(group, ()))
        return host in self._members[group]

    def _risk(self, group: str, source: Source) -> _Risk:
        risk = self._risks.get((group, source))
        if risk is None:
            objections = {
                host: self._destinations[host].objection(source)
                for host in self._groups[group]
                if host in self._destinations
            }
            risk = _Risk({host: words for host, words in objections.items() if words})
            self._risks[group, source] = risk
        return risk

    def _of_sources(self) -> list[str]:
        lines = []
        for (group, source), risk in self._risks.items():
            leaving = {host for host, dummy in risk.guests}
            by_words: dict[str, list[str]] = {}
            for host, words in risk.objections.items():
                if _others(leaving, host):
                    by_words.setdefault(words, []).append(host)
            for words, hosts in by_words.items():
                guests = [guest for host, guest in risk.guests if hosts != [host]]
                lines.append(
                    f"migration group {printable(group, 80)}: on {some(hosts)} source {source} {words}; "
                    f"guests that may move there: {some(guests)}"
                )
        return lines

    def _of_the_unseen(self) -> list[str]:
        lines = []
        for group, leaving in self._leaving.items():
            unseen = [host for host in self._groups[group] if host not in self._destinations and _others(leaving, host)]
            if unseen:
                lines.append(
                    f"migration group {printable(group, 80)}: not observed in this run, so it is not known whether the "
                    f"sources of guests that may move there are safe: {some(unseen)}"
                )
        return lines

    def _of_definitions(self) -> list[str]:
        return [
            f"{printable(host, 80)} has other definitions of guests that run elsewhere, with {devices} and not what "
            f"they are to have; undefine them there: {some(guests)}"
            for (host, devices), guests in self._definitions.items()
        ]


def _others(hosts: set[str], host: str) -> int:
    """How many there are besides ``host``."""
    return len(hosts) - (host in hosts)
