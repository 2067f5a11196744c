# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which inventory host is which guest of which hypervisor.

Three rounds, the strongest first: by UUID, by the whole name, by the name up to its first dot (where one of the two
has no more than that, and is no IP address). Who is matched in one round takes no part in the next. An inventory host
that sets a UUID is no other guest, whatever the names say. What stays ambiguous is refused, never guessed.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated


@dataclass(frozen=True)
class Seen:
    """A guest as a hypervisor shows it; ``index`` is its place in that hypervisor's observation.

    ``label`` tells it from others of the same name, where that is needed.
    """

    host: str
    index: int
    name: str
    uuid: str = ""  # in the canonical form: lower case, with dashes
    running: bool = False
    label: str = ""

    def __str__(self) -> str:
        return f"{printable(self.label or self.name, 80)} on {printable(self.host, 80)}"


@dataclass
class Matches:
    """What is known of each guest, and of each inventory host that is no guest."""

    inventory: dict[Seen, str] = field(default_factory=dict)
    refused: dict[Seen, str] = field(default_factory=dict)
    copies: dict[Seen, str] = field(default_factory=dict)  # definitions of a guest that runs on another hypervisor
    homes: dict[Seen, Seen] = field(default_factory=dict)  # for each copy the guest that runs
    unmatched: dict[str, str] = field(default_factory=dict)


def match(guests: Sequence[Seen], inventory: Mapping[str, object], variable: str) -> Matches:
    """Match ``guests`` to inventory hosts, given as name -> value of the UUID ``variable`` (None where not set)."""
    found = Matches()
    _sort_out_copies(guests, found)
    uuids, problems = _read_uuids(inventory, variable)
    claims = _in_rounds(guests, inventory, uuids)
    _settle(claims, uuids, problems, variable, found)
    claimed = {name for names in claims.values() for name in names}
    takers = {
        seen.name: f"{seen} has this name, but is inventory host {printable(name, 80)} by its UUID"
        for seen, name in found.inventory.items()
    }
    for name in inventory:
        if name not in claimed:
            why = problems.get(name) or takers.get(name)
            found.unmatched[name] = why or "no hypervisor has a guest of this name"
    return found


def _sort_out_copies(guests: Iterable[Seen], found: Matches) -> None:
    """One guest defined on several hypervisors: it is where it runs, if that is one place."""
    homes: dict[str, list[Seen]] = defaultdict(list)
    for seen in guests:
        if seen.uuid:
            homes[seen.uuid].append(seen)
    for number, copies in homes.items():
        running = [seen for seen in copies if seen.running]
        if len(copies) == 1:
            continue
        if len(running) == 1:
            why = f"left alone: the same guest runs as {running[0]}; this is only another definition of it"
            found.copies.update({seen: why for seen in copies if not seen.running})
            found.homes.update({seen: running[0] for seen in copies if not seen.running})
            continue
        twins = f"{_listed(copies)} have the same UUID {number}"
        if running:
            why = f"{twins}, and several of them run (is one being migrated?); try again when only one does"
        else:
            why = f"{twins}, and none of them runs, so nobody knows which is the guest; undefine what is left over"
        found.refused.update(dict.fromkeys(copies, why))


def _read_uuids(inventory: Mapping[str, object], variable: str) -> tuple[dict[str, str], dict[str, str]]:
    """The UUIDs that inventory hosts set; and for all that set one, why a match by name alone would be wrong."""
    uuids, problems = {}, {}
    for name, value in inventory.items():
        if value is None:
            continue
        subject = f"guest {printable(name, 80)}: {variable}"
        if isinstance(value, Untemplated):
            problems[name] = f"{subject}: its template failed: {value.why}"
            continue
        try:
            uuids[name] = str(uuid.UUID(str(value)))
            problems[name] = (
                f"{subject} is {uuids[name]}, but no known guest has it; correct it, or remove it to go by the name"
            )
        except ValueError:
            problems[name] = str(InvalidValueError(subject, value, "a UUID, as the hypervisor shows it"))
    return uuids, problems


def _in_rounds(guests: Sequence[Seen], inventory: Iterable[str], uuids: Mapping[str, str]) -> dict[Seen, list[str]]:
    """The inventory hosts that could be each guest, from the strongest round that has any."""
    claims: dict[Seen, list[str]] = {}
    for guest_key, inventory_key in (
        (lambda seen: seen.uuid, lambda name: uuids.get(name, "")),
        (lambda seen: seen.name, lambda name: name),
        (lambda seen: _short(seen.name), _short),
    ):
        taken = {name for names in claims.values() for name in names}
        by_key: dict[str, list[str]] = defaultdict(list)
        for name in inventory:
            if name not in taken:
                by_key[inventory_key(name)].append(name)
        for seen in guests:
            key = guest_key(seen)
            if key and seen not in claims:
                names = [name for name in by_key.get(key, ()) if seen.uuid == key or _compatible(seen.name, name)]
                if names:
                    claims[seen] = names
    return claims


def _short(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.split(".", 1)[0]


def _compatible(one: str, other: str) -> bool:
    """web1 may be web1.example.com, but web1.example.com is not web1.example.net."""
    return one == other or "." not in one or "." not in other


def _settle(
    claims: Mapping[Seen, list[str]],
    uuids: Mapping[str, str],
    problems: Mapping[str, str],
    variable: str,
    found: Matches,
) -> None:
    """Accept where one inventory host and one guest claim each other, and say why not elsewhere."""
    closed = found.refused.keys() | found.copies.keys()
    open_claims = {seen: names for seen, names in claims.items() if seen not in closed}
    rivals: dict[str, list[Seen]] = defaultdict(list)
    for seen, names in open_claims.items():
        for name in names:
            rivals[name].append(seen)
    for seen, names in open_claims.items():
        name = names[0]
        if len(names) > 1:
            both = ", ".join(printable(each, 80) for each in sorted(names))
            found.refused[seen] = f"inventory hosts {both} all match this guest; set {variable} on the right one only"
        elif len(rivals[name]) > 1:
            places = _listed(rivals[name])
            found.refused[seen] = f"inventory host {printable(name, 80)} matches {places}; set its {variable}"
        elif name in problems and uuids.get(name) != seen.uuid:
            found.refused[seen] = problems[name]
        else:
            found.inventory[seen] = name


def _listed(guests: Iterable[Seen]) -> str:
    names = sorted(str(seen) for seen in guests)
    return " and ".join(names) if len(names) < 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"
