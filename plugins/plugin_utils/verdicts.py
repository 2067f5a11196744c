# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a verification: how many guests of each hypervisor hold, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import said_once
from ansible_collections.fleet.rng.plugins.plugin_utils.table import LINES, explained, numbers
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import FAILED, UNPROVEN, VERDICTS, WAITING

INFO = SEVERITIES[-1]
BAD = (FAILED, WAITING, UNPROVEN)


def verdicts(verification: Mapping[str, Any], width: int = 100) -> list[str]:
    """The lines of the table: the counts, a line for each finding that somebody has to act on, and how many hold.

    :param verification: ``verification`` of ``rng_verify``.
    """
    hosts = {name: verification["hosts"][name] for name in sorted(verification["hosts"])}
    lines = _counts(hosts, verification)
    lost = [(name, host["error"]) for name, host in hosts.items() if host["error"]]
    found = [
        (name, guest["guest"], finding)
        for name, host in hosts.items()
        for guest in host["guests"]
        for finding in guest["findings"]
        if finding["severity"] != INFO or guest["verdict"] == UNPROVEN
    ]
    found.sort(key=lambda entry: (SEVERITIES.index(entry[2]["severity"]), entry[2]["id"]))
    rows = [((printable(name, 32), "", "not verified"), printable(error, 600)) for name, error in lost]
    rows += [
        ((printable(name, 32), printable(guest, 40), _what(finding)), printable(text, 800))
        for (name, guest, finding), text in zip(found, said_once(entry[2] for entry in found), strict=True)
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


def _what(finding: Mapping[str, Any]) -> str:
    return f"{finding['id']} {UNPROVEN if finding['severity'] == INFO else finding['severity']}"
