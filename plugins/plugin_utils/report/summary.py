# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts over the host documents of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import NEEDS_RESTART, PENDING_REMOVAL
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.metrics import VERDICTS
from ansible_collections.fleet.rng.plugins.plugin_utils.report.schema import STATES

Wire = Mapping[str, Any]

OUTCOMES = ("changed", "needs_restart", "pending_removal", "refused", "failed")
WAITING = "waiting"  # the verdict on a guest that lacks nothing but a restart
TALLY = ("guests", "running", "config", "live", "verified")
LAYERS = ("config", "live")


def summarize(hosts: Sequence[Wire], warnings: Sequence[str] = ()) -> dict[str, Any]:
    """The ``summary`` of a report on these valid documents."""
    guests = [guest for host in hosts for guest in host["guests"]]
    # With a kind a hypervisor did answer, and the error is about planning for it.
    lost, unplanned = (
        [
            {"hypervisor": host["hypervisor"], "error": host["error"]}
            for host in hosts
            if host["error"] and (host["kind"] is None) == silent
        ]
        for silent in (True, False)
    )
    outcomes = Counter(word for guest in guests for word in outcomes_of(guest))
    budgets = [host["budget"] for host in hosts if host["budget"]]
    return {
        "check_mode": any(host["check_mode"] for host in hosts),
        "hypervisors": {
            "total": len(hosts),
            "observed": len(hosts) - len(lost),
            "not_observed": lost,
            "not_planned": unplanned,
        },
        "guests": _tally(guests),
        "states": _counts((guest["state"] or "unknown" for guest in guests), (*STATES, "unknown")),
        "verdicts": _counts((guest["verdict"] or "none" for guest in guests), (*VERDICTS, "none")),
        "outcomes": {word: outcomes[word] for word in OUTCOMES},
        "findings": _findings(hosts),
        "groups": _groups(guests),
        "kinds": _kinds(hosts),
        "budget": {
            "hypervisors": len(budgets),
            **{key: sum(budget[key] for budget in budgets) for key in ("bytes_per_second", "promised")},
        },
        "warnings": list(warnings),
    }


def outcomes_of(guest: Wire) -> list[str]:
    """What became of a guest, in the words of OUTCOMES; none of them when nothing happened and nothing is left.

    A verification without a run before it knows of a restart from its own look at the guest alone.
    """
    outcome = guest["outcome"]
    statuses = [outcome[layer] for layer in LAYERS]
    refused = guest["state"] == "refused" or (outcome["error"] and not outcome["changed"])
    words = {
        "changed": outcome["changed"],
        "needs_restart": NEEDS_RESTART in statuses or guest["verdict"] == WAITING,
        "pending_removal": PENDING_REMOVAL in statuses,
        "refused": refused,
        "failed": outcome["error"] and not refused,
    }
    return [word for word, holds in words.items() if holds]


def devices_of(guest: Wire) -> Wire:
    """The devices of both layers as they were seen last."""
    seen: Wire = guest["after"] or guest["before"]
    return seen


def _tally(guests: Iterable[Wire]) -> dict[str, int]:
    counts = Counter(dict.fromkeys(TALLY, 0))
    for guest in guests:
        counts["guests"] += 1
        counts["running"] += guest["running"]
        counts["verified"] += guest["verdict"] == "verified"
        for layer in LAYERS:
            counts[layer] += bool(devices_of(guest)[layer])
    return dict(counts)


def _counts(words: Iterable[str], order: Sequence[str]) -> dict[str, int]:
    counts = Counter(words)
    return {word: counts[word] for word in order}


def _groups(guests: Iterable[Wire]) -> list[dict[str, Any]]:
    members: dict[str, list[Wire]] = {}
    for guest in guests:
        for group in guest["groups"]:
            members.setdefault(group, []).append(guest)
    return [{"name": group, **_tally(members[group])} for group in sorted(members)]


def _kinds(hosts: Iterable[Wire]) -> list[dict[str, Any]]:
    members: dict[str, list[Wire]] = {}
    for host in hosts:
        if host["kind"] is not None:
            members.setdefault(host["kind"], []).append(host)
    return [
        {
            "name": kind,
            "hypervisors": len(members[kind]),
            **_tally(guest for host in members[kind] for guest in host["guests"]),
        }
        for kind in sorted(members)
    ]


def _findings(hosts: Iterable[Wire]) -> list[dict[str, Any]]:
    """Each finding once, the worst first, with the number of hypervisors and guests that it is about."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for host in hosts:
        audited = [("hypervisors", host["rng"] or {"findings": []}), *(("guests", guest) for guest in host["guests"])]
        for kind, subject in audited:
            for finding in subject["findings"]:
                key = (SEVERITIES.index(finding["severity"]), finding["id"])
                about = {"message": finding["message"], "hypervisors": 0, "guests": 0}
                entry = found.setdefault(key, {"id": finding["id"], "severity": finding["severity"], **about})
                entry[kind] += 1
    return [found[key] for key in sorted(found)]
