# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worth saying about the entropy broker of a machine. The ids are of the same series as those of the kernel."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .broker import CUT_OFF, LONG_WAIT, RUNNING, STALE, STARTING, UNREADABLE, waiting_long
from .findings import NOT_ALLOWED, Rule, finding

_SETTLING = 30  # seconds that a broker may take to start its sources, tests included
_NAMED = 5  # guests and sources that a message names
_WATCH = "Look at virtrngctl status and the daemon's log on the host (journalctl -u virtrngd). "

# Over the broker, and what :func:`_broker_values` adds to it.
BROKER_RULES = (
    Rule(
        "RNG022",
        "error",
        "broker",
        lambda b: bool(b["status"] == STALE),
        "The entropy broker stopped or hangs ({why}): guests on its sockets wait for random numbers until it is back.",
        _WATCH
        + "Start it again (systemctl restart virtrngd). QEMU does not repeat a request that was lost: a guest that "
        "still waits afterwards needs its device replaced, or a restart.",
        ("why", "pid", "clients"),
    ),
    Rule(
        "RNG023",
        "warning",
        "broker",
        lambda b: b["status"] == RUNNING and bool(b["cut_off"]) and b["serving"] is not None,
        "The entropy broker had to give up a source, {cut_off}; {serving} serves the guests.",
        _WATCH
        + "A source that failed its health tests has to be checked, and the driver or the daemon behind it; one that "
        "is not meant to be there is taken out of rng_broker_sources.",
        ("sources",),
    ),
    Rule(
        "RNG024",
        "error",
        "broker",
        lambda b: b["status"] == RUNNING and b["serving"] is None and not b["settling"],
        "No source serves the entropy broker ({all_sources}): its guests wait for random numbers.",
        _WATCH
        + "Mend the sources, or let another one serve while they fail: add getrandom to rng_broker_sources, and set "
        "rng_broker_when_failing to fallback.",
        ("sources", "clients"),
    ),
    Rule(
        "RNG025",
        "warning",
        "broker",
        lambda b: b["status"] == RUNNING and bool(b["waiting_guests"]),
        f"Guests wait for the entropy broker longer than {LONG_WAIT:g} seconds: {{waiting_guests}}.",
        "Give their class more (rng_broker_rate, rng_broker_ceil), or the broker a faster source: virtrngctl top shows "
        "which of the two is short.",
        ("waiting_guests", "rate", "sources"),
    ),
    Rule(
        "RNG026",
        "warning",
        "broker",
        lambda b: b["status"] == RUNNING and b["refused"] > 0,
        "The entropy broker refused {refused} connections since it started: guests among them get nothing.",
        _WATCH
        + "It says there who was refused. Allow more connections (rng_broker_clients), or see to the guest that opens "
        "so many.",
        ("refused", "clients"),
    ),
    Rule(
        "RNG027",
        "warning",
        "broker",
        lambda b: b["status"] == UNREADABLE and b["why"] not in NOT_ALLOWED,
        "There is the status file of an entropy broker, and it cannot be read: {why}.",
        _WATCH + "A broker of another version writes another file: deploy it again (playbook broker_rng.yml).",
        ("why",),
    ),
)


def _broker_values(broker: Mapping[str, Any]) -> Dict[str, Any]:
    """The broker, and what rules and messages need of it beside."""
    states = [f"{source['source']} {source['state']}" for source in broker["sources"]]
    lost = [said for said, source in zip(states, broker["sources"]) if source["state"] in CUT_OFF]
    late = waiting_long(broker)
    names = [f"{guest['guest']} ({guest['class']}, {guest['waiting']:.0f} s)" for guest in late[:_NAMED]]
    more = [f"and {len(late) - _NAMED} more"] if len(late) > _NAMED else []
    young = broker["started"] is not None and broker["updated"] - broker["started"] < _SETTLING
    return {
        **broker,
        "cut_off": ", ".join(lost[:_NAMED]),
        "all_sources": ", ".join(states[:_NAMED]) or "none is configured",
        "settling": young and any(source["state"] == STARTING for source in broker["sources"]),
        "waiting_guests": ", ".join(names + more),
        "sources": [{key: source[key] for key in ("source", "state", "why")} for source in broker["sources"][:_NAMED]],
    }


def judge_broker(broker: Optional[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The findings about the entropy broker of a machine; none where there is no broker."""
    if broker is None:
        return []
    values = _broker_values(broker)
    return [finding(rule, values) for rule in BROKER_RULES if rule.applies(values)]
