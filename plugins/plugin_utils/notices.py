# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words about many machines at once: some of them named, the same thing said once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import KNOWN_VARIABLES

NAMED = 5


def some(names: Sequence[str]) -> str:
    """The first of the names, and how many there are besides."""
    shown = ", ".join(printable(name, 40) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def counted(number: int, noun: str) -> str:
    """The number and the noun, whose plural takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def said_once(findings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The text of each finding, with its remedy where the last one had another id: in a fleet many have the same."""
    last = None
    for finding in findings:
        yield finding["message"] if finding["id"] == last else f"{finding['message']} {finding['remedy']}"
        last = finding["id"]


def outcomes(state: Mapping[str, Any]) -> Iterator[str]:
    """What a role kept of one machine, a sentence for each kind: what was changed, what waits, what was not done."""
    for title, key in (
        ("Would change" if state.get("check_mode") else "Changed", "changed"),
        ("Waits for a reboot", "waits"),
        ("Not done", "problems"),
        ("Note", "notes"),
    ):
        words = [printable(str(word), 300).rstrip(".") for word in state.get(key) or []]
        if words:
            yield f"{title}: {'; '.join(words)}."
        elif key == "changed" and not state.get("unsupported"):
            yield "Nothing to change."


def misspelt(machines: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """A warning for each variable that begins like ours and means nothing, with the hosts that have it.

    :param machines: the name of each inventory host, and such variables of it.
    """
    having: dict[str, list[str]] = {}
    for machine, variables in machines:
        for variable in variables:
            having.setdefault(variable, []).append(machine)
    warnings = []
    for variable, names in sorted(having.items()):
        near = get_close_matches(variable, KNOWN_VARIABLES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        warnings.append(f"{printable(variable, 60)} is no variable of this collection ({some(names)}){hint}")
    return warnings
