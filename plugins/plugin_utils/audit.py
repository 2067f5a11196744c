# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of an audit: what feeds each machine's kernel, how its sources did in a test, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.health import FAILED, NO_FAILURE, NOT_RUN
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_words import broker_line
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import said_once, some
from ansible_collections.fleet.rng.plugins.plugin_utils.table import columns, explained, wrapped

HEADER = ("machine", "role", "kernel", "current RNG", "other RNGs", "CPU", "entropy", "CRNG", "findings")
SOURCE_HEADER = ("machine", "source", "status", "bytes per second", "health tests", "why")


def audit(machines: Mapping[str, Any], width: int = 100, sources: Mapping[str, Any] | None = None) -> list[str]:
    """The lines of the tables.

    :param machines: by inventory name, the ``rng`` of ``rng_info`` or the ``host`` of an ``X_rng_info`` module; what is
        no such mapping is a machine that could not be audited.
    :param sources: by inventory name, what ``rng_source_info`` returned; what is no such mapping was not tested.
    """
    names = sorted(machines)
    tested = {name: _mappings((sources or {}).get(name), "sources") for name in names}
    said = {
        name: [*_mappings(machines[name], "findings"), *_mappings((sources or {}).get(name), "findings")]
        for name in names
    }
    lines = columns([HEADER, *(_row(name, machines[name], said[name]) for name in names)])
    rows = [_source_row(name, result) for name in names for result in tested[name]]
    if rows:
        lines += ["", *columns([SOURCE_HEADER, *rows])]
    brokers = [((printable(name, 32), "broker:"), line) for name in names if (line := broker_line(machines[name]))]
    if brokers:
        lines += ["", *explained(brokers, width)]
    findings = sorted(
        (
            (SEVERITIES.index(finding["severity"]), finding["id"], name, finding)
            for name in names
            for finding in said[name]
            if finding.get("severity") in SEVERITIES
        ),
        key=lambda entry: entry[:3],
    )
    if findings:
        lines.append("")
    lines += explained(
        [
            ((identifier, SEVERITIES[rank], printable(name, 32)), printable(text, 600))
            for (rank, identifier, name, dummy), text in zip(
                findings, said_once(entry[3] for entry in findings), strict=True
            )
        ],
        width,
    )
    sound = [name for name in names if isinstance(machines[name], Mapping) and not _to_act_on(said[name])]
    if sound:
        lines += ["", *wrapped("", f"Nothing has to be done on {len(sound)} of {len(names)}: {some(sound)}.", width)]
    return lines


def _to_act_on(findings: Iterable[Mapping[str, Any]]) -> bool:
    return any(finding.get("severity") in SEVERITIES[:2] for finding in findings)  # errors and warnings


def _mappings(result: Any, key: str) -> Iterable[Mapping[str, Any]]:
    """The mappings of a list in a result; none where there is no result."""
    found = result.get(key) if isinstance(result, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def _source_row(name: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    rate, health = result.get("bytes_per_second"), result.get("health")
    verdicts = health if isinstance(health, Mapping) else {}
    failed = [test for test, verdict in verdicts.items() if verdict == FAILED]
    words = [word for word in verdicts.values() if word != NOT_RUN]
    cells = (
        (name, 32),
        (result.get("source"), 48),
        (result.get("status"), 32),
        (f"{rate:.0f}" if isinstance(rate, int | float) else "-", 32),
        (f"failed: {', '.join(failed)}" if failed else NO_FAILURE if NO_FAILURE in words else (words or "-")[0], 72),
        (result.get("why"), 100),
    )
    return tuple(printable(str(cell), limit) for cell, limit in cells)


def _row(name: str, rng: Any, findings: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    if not isinstance(rng, Mapping):
        return (printable(name, 32), "not audited", *("-" for dummy in HEADER[2:]))
    current = rng["current"]
    others = [other for other in rng["available"] or () if other != current]
    counts = [sum(1 for finding in findings if finding.get("severity") == severity) for severity in SEVERITIES]
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
