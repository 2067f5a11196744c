# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a verification: how many guests of each hypervisor hold, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.plugin_utils.table import GAP, heads, left, width_of, wrapped
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import FAILED, UNPROVEN, VERDICTS, WAITING

BAD = (FAILED, WAITING, UNPROVEN)
LINES = 200  # of hypervisors, and of findings; the verification has all of them


def verdicts(verification: Mapping[str, Any], width: int = 100) -> list[str]:
    """The lines of the table: the counts, a line for each finding that somebody has to act on, and how many hold.

    :param verification: ``verification`` of ``rng_verify``.
    """
    hosts = {name: verification["hosts"][name] for name in sorted(verification["hosts"])}
    lines = _counts(hosts, verification)
    reasons = sorted(
        (reason for name, host in hosts.items() for reason in _reasons(name, host)), key=lambda item: item[0]
    )
    shown = [reason[1:] for reason in reasons[:LINES]]
    if shown:
        lines.append("")
    for head, row in zip(heads([row[:3] for row in shown]), shown, strict=True):
        lines += wrapped(head, row[3], width)
    if len(reasons) > len(shown):
        lines.append(f"... and {len(reasons) - len(shown)} more")
    managed = verification["total"] - verification["counts"]["unmanaged"]
    lost = sum(1 for host in hosts.values() if host["error"])
    lines += ["", f"{verification['counts']['verified']} of {managed} guests verified" + _unseen(lost, len(hosts))]
    return lines


def _unseen(lost: int, hosts: int) -> str:
    return f"; {lost} of {hosts} hypervisors could not be verified" if lost else ""


def _counts(hosts: Mapping[str, Mapping[str, Any]], everything: Mapping[str, Any]) -> list[str]:
    shown = list(hosts)
    if len(shown) > LINES:  # those that somebody has to look at
        shown = [name for name in shown if hosts[name]["error"] or any(hosts[name]["counts"][bad] for bad in BAD)][
            :LINES
        ]
    body = [(printable(name, 32), None if hosts[name]["error"] else hosts[name]) for name in shown]
    if len(hosts) > len(shown):
        body.append((f"{len(hosts) - len(shown)} more", None))
    if len(hosts) > 1:
        body.append(("all", everything))
    first = max(width_of(cell) for cell in ("hypervisor", *(name for name, dummy in body)))
    columns = ("guests", *VERDICTS)
    lines = [GAP.join([left("hypervisor", first), *columns])]
    for name, host in body:
        numbers = {} if host is None else {"guests": host["total"], **host["counts"]}
        cells = [f"{numbers.get(column, '-'):>{len(column)}}" for column in columns]
        lines.append(GAP.join([left(name, first), *cells]))
    return lines


def _reasons(name: str, host: Mapping[str, Any]) -> list[tuple[int, str, str, str, str]]:
    """(rank, hypervisor, guest, what, why), to be sorted by rank: hypervisors, errors, warnings, what is not proven."""
    shown = printable(name, 32)
    if host["error"]:
        return [(-1, shown, "", "not verified", printable(str(host["error"]), 600))]
    found = []
    for guest in host["guests"]:
        for finding in guest["findings"]:
            if finding["severity"] != SEVERITIES[-1] or guest["verdict"] == UNPROVEN:
                rank = SEVERITIES.index(finding["severity"])
                what = UNPROVEN if rank == len(SEVERITIES) - 1 else finding["severity"]
                why = f"{finding['message']} {finding['remedy']}"
                found.append(
                    (rank, shown, printable(guest["guest"], 40), f"{finding['id']} {what}", printable(why, 800))
                )
    return found
