# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counts of a report."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.summary import outcomes_of, summarize
from ansible_collections.fleet.rng.tests.fleet.generate import documents

DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}


def finding(identifier: str, severity: str) -> dict[str, Any]:
    return {"id": identifier, "severity": severity, "message": f"about {identifier}"}


def outcome(config: str = "unchanged", live: str = "not_applicable", **changes: Any) -> dict[str, Any]:
    return {"config": config, "live": live, "changed": False, "reason": "", "error": None, **changes}


def guest(**changes: Any) -> dict[str, Any]:
    return {
        "groups": [],
        "running": False,
        "state": "present",
        "before": {"config": [], "live": None},
        "after": None,
        "outcome": outcome(),
        "verdict": None,
        "findings": [],
        **changes,
    }


def host(*guests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    document = {"hypervisor": "hv1", "check_mode": False, "error": None, "rng": None, "kind": None, "budget": None}
    return {**document, "guests": list(guests), **changes}


def test_nothing() -> None:
    summary = summarize([])
    assert summary["hypervisors"] == {"total": 0, "observed": 0, "not_observed": [], "not_planned": []}
    assert summary["guests"] == {"guests": 0, "running": 0, "config": 0, "live": 0, "verified": 0}
    assert set(summary["outcomes"].values()) == {0}
    assert (summary["findings"], summary["groups"], summary["kinds"]) == ([], [], [])


def test_everything() -> None:
    has = {"config": [DEVICE], "live": [DEVICE]}
    first = host(
        guest(groups=["guests", "web"], running=True, before={"config": [], "live": []}, after=has, verdict="verified"),
        guest(groups=["web"], before={"config": [DEVICE], "live": None}, findings=[finding("RNG104", "warning")]),
        guest(state="refused", verdict="failed", findings=[finding("RNG104", "warning"), finding("RNG101", "error")]),
        guest(state=None),
        kind="libvirt",
        budget={"bytes_per_second": 1000, "promised": 900, "guests": 4},
        rng={"findings": [finding("RNG014", "info"), finding("RNG101", "error")]},
    )
    second = host(guest(), kind="libvirt", check_mode=True, budget={"bytes_per_second": 1, "promised": 1, "guests": 1})
    lost = host(hypervisor="hv3", error="gone")
    unplanned = host(hypervisor="hv4", error="its budget is too small", kind="libvirt")
    assert summarize([first, second, lost, unplanned], ["a warning"]) == {
        "check_mode": True,
        "hypervisors": {
            "total": 4,
            "observed": 3,
            "not_observed": [{"hypervisor": "hv3", "error": "gone"}],
            "not_planned": [{"hypervisor": "hv4", "error": "its budget is too small"}],
        },
        "guests": {"guests": 5, "running": 1, "config": 2, "live": 1, "verified": 1},
        "states": {"present": 3, "absent": 0, "unmanaged": 0, "refused": 1, "unknown": 1},
        "verdicts": {
            "verified": 1,
            "failed": 1,
            "waiting": 0,
            "unproven": 0,
            "off": 0,
            "unmanaged": 0,
            "none": 3,
        },
        "outcomes": {"changed": 0, "needs_restart": 0, "pending_removal": 0, "refused": 1, "failed": 0},
        "findings": [
            {"id": "RNG101", "severity": "error", "message": "about RNG101", "hypervisors": 1, "guests": 1},
            {"id": "RNG104", "severity": "warning", "message": "about RNG104", "hypervisors": 0, "guests": 2},
            {"id": "RNG014", "severity": "info", "message": "about RNG014", "hypervisors": 1, "guests": 0},
        ],
        "groups": [
            {"name": "guests", "guests": 1, "running": 1, "config": 1, "live": 1, "verified": 1},
            {"name": "web", "guests": 2, "running": 1, "config": 2, "live": 1, "verified": 1},
        ],
        "kinds": [
            {
                "name": "libvirt",
                "hypervisors": 3,
                "guests": 5,
                "running": 1,
                "config": 2,
                "live": 1,
                "verified": 1,
            }
        ],
        "budget": {"hypervisors": 2, "bytes_per_second": 1001, "promised": 901},
        "warnings": ["a warning"],
    }


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (guest(), []),
        (guest(outcome=outcome("replaced", "replaced", changed=True)), ["changed"]),
        (guest(outcome=outcome("added", "needs_restart", changed=True)), ["changed", "needs_restart"]),
        (guest(verdict="waiting"), ["needs_restart"]),
        (guest(outcome=outcome(live="pending_removal")), ["pending_removal"]),
        (guest(state="refused", outcome=outcome(error="no")), ["refused"]),
        (guest(outcome=outcome(error="no")), ["refused"]),
        (guest(outcome=outcome(error="half", changed=True)), ["changed", "failed"]),
    ],
)
def test_what_became_of_a_guest(one: dict[str, Any], words: list[str]) -> None:
    assert outcomes_of(one) == words


def test_the_parts_add_up() -> None:
    hosts = list(documents(40, 10))
    summary = summarize(hosts)
    total = summary["guests"]["guests"]
    assert total == sum(len(host["guests"]) for host in hosts) == 390
    assert sum(summary["states"].values()) == sum(summary["verdicts"].values()) == total
    assert summary["kinds"][0]["guests"] == total
    assert summary["guests"]["verified"] == summary["verdicts"]["verified"]
    assert all(summary["outcomes"].values())
