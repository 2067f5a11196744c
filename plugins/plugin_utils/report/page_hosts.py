# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page says of hypervisors: whether they answered, what they run, and how old their documents are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.notices import counted
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import TIME

NOT_OBSERVED = "not observed"
NOT_PLANNED = "not planned"
FRESH = timedelta(hours=1)  # documents of one run are younger than this when their report is made
DAYS = timedelta(days=2)  # from here on ages are in days
JUDGED = ("verified", "failed", "verdicts")  # columns that say nothing of a run that verified nothing


@dataclass(frozen=True)
class Host:
    """One hypervisor in the page's words."""

    name: str
    trouble: str  # NOT_OBSERVED, NOT_PLANNED or nothing
    why: str
    software: str  # what manages its guests
    current: str  # the hardware RNG of its own kernel
    collected: str
    age: str  # how much older than the report; nothing when it is of the same run


@dataclass(frozen=True)
class Hosts:
    """All hypervisors, in the order of the page."""

    all: Sequence[Host]
    columns: tuple[str, ...]  # of the table of hypervisors: a column that says nothing is left out
    checked: int  # documents of runs that changed nothing

    @property
    def lost(self) -> int:
        return sum(host.trouble == NOT_OBSERVED for host in self.all)

    @property
    def mode(self) -> str:
        """Whether the report is on what was done, on what would be done, or on both."""
        if not self.checked:
            return "done"
        return "would" if self.checked == len(self.all) else "both"

    @property
    def span(self) -> tuple[str, str] | None:
        """The oldest and the newest document, when they are of several runs."""
        times = sorted(host.collected for host in self.all)
        return (times[0], times[-1]) if "collected" in self.columns else None


def hosts_of(hosts: Sequence[Mapping[str, Any]], generated: str) -> Hosts:
    """Hypervisors of a clean report that was made at the time ``generated``."""
    found = [_host(host, generated) for host in hosts]
    shown = {
        "software": any(host.software for host in found),
        "collected": any(host.age for host in found),
        "budget": any(host.get("budget") for host in hosts),
    }
    columns = ("name", "software", "current", "guests", "rng", "verified", "failed", "verdicts", "budget", "collected")
    checked = sum(bool(host.get("check_mode")) for host in hosts)
    return Hosts(found, tuple(column for column in columns if shown.get(column, True)), checked)


def _host(host: Mapping[str, Any], generated: str) -> Host:
    error = host.get("error") or ""
    # With a kind it did answer, and the error is about planning for it.
    trouble = (NOT_PLANNED if host.get("kind") else NOT_OBSERVED) if error else ""
    rng = host.get("rng") or {}
    return Host(
        name=host["hypervisor"],
        trouble=trouble,
        why=error.removeprefix(f"{NOT_OBSERVED}: "),
        software=" ".join(host[key] for key in ("kind", "version") if host.get(key)),
        current=rng.get("current") or ("unknown" if rng.get("available") is None else "none"),
        collected=moment(host["collected"]),
        age=age(host["collected"], generated),
    )


def moment(time: str) -> str:
    """A time as people read it, to the minute; all are UTC."""
    return time.replace("T", " ").removesuffix("Z")[:16]


def age(collected: str, generated: str) -> str:
    """How much older a document is than its report."""
    between = datetime.strptime(generated, TIME) - datetime.strptime(collected, TIME)
    if between < FRESH:
        return ""
    if between < DAYS:
        return counted(between // FRESH, "hour")
    return counted(between.days, "day")
