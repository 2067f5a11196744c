# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of an audit: what feeds the kernel of each machine, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import said_once
from ansible_collections.fleet.rng.plugins.plugin_utils.table import columns, explained

HEADER = ("machine", "role", "kernel", "current RNG", "other RNGs", "CPU", "entropy", "CRNG", "findings")


def audit(machines: Mapping[str, Any], width: int = 100) -> list[str]:
    """The lines of the table.

    :param machines: by inventory name, the ``rng`` of ``rng_info`` or the ``host`` of an ``X_rng_info`` module; what is
        no such mapping is a machine that could not be audited.
    """
    names = sorted(machines)
    lines = columns([HEADER, *(_row(name, machines[name]) for name in names)])
    findings = sorted(
        (
            (SEVERITIES.index(finding["severity"]), finding["id"], name, finding)
            for name in names
            if isinstance(machines[name], Mapping)
            for finding in machines[name].get("findings", ())
            if finding.get("severity") in SEVERITIES
        ),
        key=lambda entry: entry[:3],
    )
    if findings:
        lines.append("")
    return lines + explained(
        [
            ((identifier, SEVERITIES[rank], printable(name, 32)), printable(text, 600))
            for (rank, identifier, name, dummy), text in zip(
                findings, said_once(entry[3] for entry in findings), strict=True
            )
        ],
        width,
    )


def _row(name: str, rng: Any) -> tuple[str, ...]:
    if not isinstance(rng, Mapping):
        return (printable(name, 32), "not audited", *("-" for dummy in HEADER[2:]))
    current = rng["current"]
    others = [other for other in rng["available"] or () if other != current]
    counts = [sum(1 for finding in rng["findings"] if finding["severity"] == severity) for severity in SEVERITIES]
    summary = ", ".join(f"{count} {severity}" for count, severity in zip(counts, SEVERITIES, strict=True) if count)
    cells = (
        name,
        rng["role"],
        rng["kernel"]["release"] or "-",
        current or ("unknown" if rng["available"] is None else "none"),
        " ".join(others) or "-",
        " ".join(rng["cpu"] or ()) or "-",
        _entropy(rng),
        {True: "ready", False: "NOT READY"}.get(rng["crng_ready"], "unknown"),
        summary or "-",
    )
    return tuple(printable(str(cell), 32) for cell in cells)


def _entropy(rng: Mapping[str, Any]) -> str:
    """With its meaning where it has none: a kernel that always says 256 tells nothing."""
    if rng["entropy_avail"] is None:
        return "-"
    return f"{rng['entropy_avail']}" + (" (constant)" if rng["entropy_meaning"] == "constant" else "")
