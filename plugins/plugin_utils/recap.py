# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that ends a run: what became of the guests of each hypervisor, and why where something is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import NEEDS_RESTART, PENDING_REMOVAL
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.table import explained, numbers, wrapped

COLUMNS = ("guests", "changed", "in sync", "needs restart", "refused")
AUDIT_COLUMNS = ("guests", "differ", "in sync", "needs restart", "refused")
OPTIONAL_COLUMNS = ("failed", "unmanaged")  # only where there is something to count


@dataclass
class _Row:
    """One hypervisor: its numbers, or none when nothing is known, and the lines that explain them."""

    host: str
    counts: dict[str, int] | None = None
    reasons: list[tuple[str, str, str]] = field(default_factory=list)  # guest, what, why

    def say(self, guest: str, what: str, why: object) -> None:
        self.reasons.append((guest, what, str(why or "no reason given")))


def recap(
    plan: Mapping[str, Any],
    results: Mapping[str, Any] | None = None,
    hosts: Iterable[str] = (),
    width: int = 100,
) -> list[str]:
    """The lines of the table.

    :param plan: ``plan`` of ``rng_plan``.
    :param results: what the module that applied the plan returned, by hypervisor; failed ones too. None when nothing
        was to be applied: the table then says what differs.
    :param hosts: hypervisors that the table is to have even when plan and results know nothing of them.
    """
    known = results or {}
    names = sorted({*plan["hosts"], *known, *hosts})
    rows = [_row(name, plan["hosts"].get(name), known.get(name), applied=results is not None) for name in names]
    lines = _table(rows, COLUMNS if results is not None else AUDIT_COLUMNS)
    reasons = [(row.host, *reason) for row in rows for reason in row.reasons]
    reasons += [("inventory", item["inventory"], "unknown", item["reason"]) for item in plan.get("unknown_guests", ())]
    if reasons:
        lines += ["", *_reasons(reasons, width)]
    for warning in plan.get("warnings", ()):
        lines += ["", *wrapped("Warning: ", printable(str(warning), 600), width)]
    return lines


def _row(host: str, planned: Mapping[str, Any] | None, result: Any, *, applied: bool) -> _Row:
    row = _Row(host)
    result = result if isinstance(result, Mapping) and not result.get("skipped") else {}
    # A message without "failed" is a task that was told not to fail.
    broken = (
        "unreachable" if result.get("unreachable") else "failed" if result.get("msg") or result.get("failed") else ""
    )
    if planned is None:
        row.say("", broken or "not planned", result.get("msg") or "it failed or was unreachable before")
        return row
    if planned["error"]:
        row.say("", "not planned", planned["error"])
        return row
    outcomes = {item["guest"]: item for item in result.get("guests") or ()}
    row.counts = {
        "guests": planned["total"],
        "changed": sum(1 for item in outcomes.values() if item.get("changed")),
        "differ": len(planned["devices"]),
        "in sync": planned["in_sync"],
        "needs restart": 0,
        "refused": len(planned["refused"]) + sum(1 for item in outcomes.values() if _left_as_it_was(item)),
        "failed": sum(1 for item in outcomes.values() if item.get("error") and not _left_as_it_was(item)),
        "unmanaged": planned["unmanaged"],
    }
    for item in planned["refused"]:
        row.say(item["guest"], "refused", item["reason"])
    differ = set() if applied else {item["guest"] for item in planned["devices"]}
    for entry in planned["guests"]:
        if entry["guest"] in differ:
            row.say(entry["guest"], "differs", entry["reason"])
        else:
            _outcome(row, row.counts, {**entry, **outcomes.get(entry["guest"], {})})
    remaining = sum(1 for item in planned["devices"] if item["guest"] not in outcomes)
    if broken and not outcomes:
        row.say("", broken, result.get("msg"))
    elif remaining and applied:
        row.say("", "not applied", f"guests that differ from the plan: {remaining}")
    return row


def _left_as_it_was(outcome: Mapping[str, Any]) -> bool:
    return bool(outcome.get("error")) and not outcome.get("changed")


def _outcome(row: _Row, counts: dict[str, int], entry: Mapping[str, Any]) -> None:
    """What is left to say about one guest: as the module left it, else as the plan saw it."""
    if entry.get("error"):
        row.say(entry["guest"], "refused" if _left_as_it_was(entry) else "failed", entry["error"])
    elif NEEDS_RESTART in (entry["config"], entry["live"]):
        counts["needs restart"] += 1
        row.say(entry["guest"], "needs restart", entry["reason"])
    elif PENDING_REMOVAL in (entry["config"], entry["live"]):
        row.say(entry["guest"], "pending removal", entry["reason"])


def _table(rows: list[_Row], always: Iterable[str]) -> list[str]:
    known = [row.counts for row in rows if row.counts is not None]
    columns = [*always, *(name for name in OPTIONAL_COLUMNS if any(counts[name] for counts in known))]
    body = [(printable(row.host, 32), row.counts) for row in rows]
    if len(rows) > 1:
        body.append(("all", {name: sum(counts[name] for counts in known) for name in columns}))
    return numbers("hypervisor", columns, body)


def _reasons(reasons: list[tuple[str, str, str, str]], width: int) -> list[str]:
    return explained(
        [
            ((printable(host, 32), printable(guest, 40), what), printable(why, 600))
            for host, guest, what, why in reasons
        ],
        width,
    )
