# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of compliance, word by word for a few machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.plugin_utils.compliance import RULES
from ansible_collections.fleet.rng.plugins.plugin_utils.compliance_table import table

CASES = Path(__file__).parents[2] / "cases" / "kernel"


def machine(name: str) -> dict[str, Any]:
    return interpret(json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))["snapshot"])


def test_counts_and_reasons() -> None:
    new, old = machine("debian-6.1-guest"), machine("centos-4.18-fips-host")
    lines = table({"hv1": new, "hv2": new, "hv3": old, "hv4": None}, width=300)
    assert lines[:2] == [
        "rule                    pass  fail  unknown  not applicable",
        "SCS-0101-kernel            2     1        0               0",
    ]
    assert lines[5] == "RHEL-08-010471             0     0        0               3"
    assert lines[len(RULES) + 1] == ""
    said = lines[len(RULES) + 2 : -2]
    assert [line.split(": ")[0].split("  ")[0] for line in said] == [
        "SCS-0101-kernel",
        *["SCS-0101-entropy-avail"] * 2,
        "CRYP-8002",
        *["CRYP-8004"] * 2,
        *["CRYP-8005"] * 2,
    ]
    assert said[2] == (
        "SCS-0101-entropy-avail  fail  does not apply here  hv3: entropy_avail is 3401. "
        "On this kernel the value is an estimate that goes up and down; 256 would be a coincidence."
    )
    assert said[4].split(None, 4)[:2] == ["CRYP-8004", "fail"]
    assert "  out of date          hv1, hv2: the kernel uses virtio_rng.0, and rngd does not run." in said[4]
    assert lines[-2:] == ["", "not audited: hv4"]


def test_nobody_was_audited() -> None:
    assert len(table({})) == len(RULES) + 1
    assert table({"hv1": "unreachable"})[-1] == "not audited: hv1"


def test_lines_fit_the_terminal_and_show_no_tricks() -> None:
    machines = {f"hv{number}\x1b": machine("hostile") | {"cpu": []} for number in range(30)}
    lines = table(machines, width=80)
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
