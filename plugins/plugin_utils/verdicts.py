# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a verification: how many guests of each hypervisor hold, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import said_once
from ansible_collections.fleet.rng.plugins.plugin_utils.table import LINES, explained, numbers
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import FAILED, UNPROVEN, VERDICTS, WAITING

BAD = (FAILED, WAITING, UNPROVEN)


def verdicts(verification: Mapping[str, Any], width: int = 100) -> list[str]:
    """The lines of the table: the counts, a line for each finding that somebody has to act on, and how many hold.

    :param verification: ``verification`` of ``rng_verify``.
    """
    hosts = {name: verification["hosts"][name] for name in sorted(verification["hosts"])}
    lines = _counts(hosts, verification)
    lost = [(name, host["error"]) for name, host in hosts.items() if host["error"]]
    found = sorted(
        (entry for name, host in hosts.items() for entry in _findings(name, host)), key=lambda entry: entry[:2]
    )
    rows = [((printable(name, 32), "", "not verified"), printable(error, 600)) for name, error in lost]
    rows += [
        ((printable(name, 32), printable(guest["guest"], 40), f"{number} {what}"), printable(text, 800))
        for (dummy, number, name, guest, what, dummy2), text in zip(
            found, said_once(entry[-1] for entry in found), strict=True
        )
    ]
    if rows:
        lines += ["", *explained(rows, width)]
    managed = verification["total"] - verification["counts"]["unmanaged"]
    lines += [
        "",
        f"{verification['counts']['verified']} of {managed} guests verified" + _unseen(len(lost), len(hosts)),
    ]
    return lines


def _unseen(lost: int, hosts: int) -> str:
    return f"; {lost} of {hosts} hypervisors could not be verified" if lost else ""


def _counts(hosts: Mapping[str, Mapping[str, Any]], everything: Mapping[str, Any]) -> list[str]:
    shown = list(hosts)
    if len(shown) > LINES:  # those that somebody has to look at
        shown = [name for name in shown if hosts[name]["error"] or any(hosts[name]["counts"][bad] for bad in BAD)][
            :LINES
        ]
    body = [
        (
            printable(name, 32),
            None if hosts[name]["error"] else {"guests": hosts[name]["total"], **hosts[name]["counts"]},
        )
        for name in shown
    ]
    if len(hosts) > len(shown):
        body.append((f"{len(hosts) - len(shown)} more", None))
    if len(hosts) > 1:
        body.append(("all", {"guests": everything["total"], **everything["counts"]}))
    return numbers("hypervisor", ("guests", *VERDICTS), body)


def _findings(name: str, host: Mapping[str, Any]) -> Iterator[tuple[int, str, str, Mapping[str, Any], str, Any]]:
    """(rank, id, hypervisor, guest, what, finding) of all that somebody has to act upon, or that kept from a proof."""
    for guest in host["guests"]:
        for finding in guest["findings"]:
            unproven = finding["severity"] == SEVERITIES[-1]
            if not unproven or guest["verdict"] == UNPROVEN:
                what = UNPROVEN if unproven else finding["severity"]
                yield SEVERITIES.index(finding["severity"]), finding["id"], name, guest, what, finding
