# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a verification, line by line."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.table import LINES
from ansible_collections.fleet.rng.plugins.plugin_utils.verdicts import verdicts
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import VERDICTS


def guest(name: str, verdict: str, *findings: tuple[str, str, str]) -> dict[str, Any]:
    found = [
        {"id": number, "severity": severity, "subject": name, "message": message, "remedy": "Do it.", "evidence": {}}
        for number, severity, message in findings
    ]
    return {"guest": name, "verdict": verdict, "findings": found}


def verification(**hosts: list[dict[str, Any]] | str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, guests in hosts.items():
        known = [] if isinstance(guests, str) else guests
        counts = {verdict: sum(1 for item in known if item["verdict"] == verdict) for verdict in VERDICTS}
        error = guests if isinstance(guests, str) else None
        made[name] = {"error": error, "counts": counts, "total": len(known), "guests": known}
    counts = {verdict: sum(host["counts"][verdict] for host in made.values()) for verdict in VERDICTS}
    return {"hosts": made, "counts": counts, "total": sum(host["total"] for host in made.values())}


def test_a_run_with_everything() -> None:
    made = verification(
        hv2="not observed a second time: no route",
        hv1=[
            guest("web1", "verified", ("RNG126", "info", "Whether it is open could not be seen.")),
            guest("web2", "failed", ("RNG110", "warning", "It draws from a TPM."), ("RNG117", "info", "No agent.")),
            guest("web3", "failed", ("RNG109", "error", "It has no driver.")),
            guest("web4", "unproven", ("RNG117", "info", "No agent.")),
            guest("web5", "off"),
            guest("web6", "unmanaged"),
        ],
    )
    assert verdicts(made) == [
        "hypervisor  guests  verified  failed  waiting  unproven  off  unmanaged",
        "hv1              6         1       2        0         1    1          1",
        "hv2              -         -       -        -         -    -          -",
        "all              6         1       2        0         1    1          1",
        "",
        "hv2        not verified     not observed a second time: no route",
        "hv1  web3  RNG109 error     It has no driver. Do it.",
        "hv1  web2  RNG110 warning   It draws from a TPM. Do it.",
        "hv1  web4  RNG117 unproven  No agent. Do it.",
        "",
        "1 of 5 guests verified; 1 of 2 hypervisors could not be verified",
    ]


def test_guests_with_the_same_finding_stand_together_and_the_remedy_once() -> None:
    def bad(name: str, number: str) -> dict[str, Any]:
        return guest(name, "failed", (number, "error", f"{name} is bad."))

    lines = verdicts(verification(hv1=[bad("a", "RNG109"), bad("b", "RNG101")], hv2=[bad("c", "RNG109")]))
    assert lines[5:8] == [
        "hv1  b  RNG101 error  b is bad. Do it.",
        "hv1  a  RNG109 error  a is bad. Do it.",
        "hv2  c  RNG109 error  c is bad.",
    ]


def test_one_sound_host_is_a_row_and_the_last_line() -> None:
    assert verdicts(verification(hv1=[guest("web1", "verified")])) == [
        "hypervisor  guests  verified  failed  waiting  unproven  off  unmanaged",
        "hv1              1         1       0        0         0    0          0",
        "",
        "1 of 1 guests verified",
    ]


def test_no_hypervisor_at_all() -> None:
    assert verdicts(verification())[-1] == "0 of 0 guests verified"


def test_very_many_findings_are_cut_short() -> None:
    bad = [guest(f"g{number}", "failed", ("RNG101", "error", "no")) for number in range(LINES + 7)]
    lines = verdicts(verification(hv1=bad))
    assert lines[-3:] == ["... and 7 more", "", f"0 of {LINES + 7} guests verified"]
    assert len(lines) == LINES + 6


def test_of_very_many_hypervisors_those_are_shown_that_need_somebody() -> None:
    fine = {f"good{number}": [guest("web1", "verified")] for number in range(LINES)}
    lines = verdicts(verification(**fine, bad=[guest("web1", "failed")], gone="not observed"))
    assert [line.split()[0] for line in lines[1:5]] == ["bad", "gone", "200", "all"]
    assert lines[3].split()[:2] == ["200", "more"]
    assert lines[4].split()[:2] == ["all", "201"]


@pytest.mark.parametrize("name", ["{{7*7}}", "\x1b[2J", "\u202eweb", "a\nb", "\u2028"])
def test_names_and_findings_cannot_write_on_the_terminal(name: str) -> None:
    made = verification(**{name: [guest(name, "failed", ("RNG101", "error", name))], "hv": f"lost {name}"})
    assert all(line.isprintable() for line in verdicts(made))


def test_long_findings_are_broken_below_themselves() -> None:
    lines = verdicts(verification(hv1=[guest("web1", "failed", ("RNG101", "error", "word " * 50))]))
    assert max(map(len, lines)) <= 100
    assert " ".join(lines).count("word") == 50
