# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which daemon which machine gets: by the table cases/daemon/decisions.json, and for all recorded machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.module_utils.kernel.probe import DAEMONS as PROBED
from ansible_collections.fleet.rng.plugins.plugin_utils.daemon import DAEMONS, POLICIES, STATES, decide

FOLDER = Path(__file__).parents[2] / "cases"
CASES = json.loads((FOLDER / "daemon" / "decisions.json").read_text(encoding="utf-8"))
MACHINES = {
    path.stem: interpret(json.loads(path.read_text(encoding="utf-8"))["snapshot"])
    for path in sorted((FOLDER / "kernel").glob("*.json"))
}
BARE = {
    "role": "guest",
    "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux"},
    "fips": False,
    "cpu": [],
    "current": None,
    "quality": None,
    "daemons": [],
    "poolsize": 4096,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_decisions(case: dict[str, Any]) -> None:
    rng = {**BARE, "kernel": {"release": case["release"], "arch": "x86_64"}, **case["set"]}
    decision = decide(rng, case["policy"], case.get("offered", DAEMONS))
    assert (decision["daemon"], decision["state"]) == (case["expect"]["daemon"], case["expect"]["state"])
    for words in case["expect"]["why"]:
        assert words in decision["why"]


def test_the_table_has_every_policy_and_every_state() -> None:
    assert {case["policy"] for case in CASES} == set(POLICIES)
    assert {case["expect"]["state"] for case in CASES} == set(STATES)
    assert {case["expect"]["daemon"] for case in CASES} == {*DAEMONS, None}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_gets_a_decision_with_a_reason(name: str, policy: str) -> None:
    decision = decide(MACHINES[name], policy)
    assert list(decision) == ["daemon", "state", "why"]
    assert decision["state"] in STATES
    assert decision["daemon"] in (*DAEMONS, None)
    assert decision["daemon"] or decision["state"] != "present"
    why = decision["why"] or ""
    assert why.endswith(".")
    assert ".." not in why
    assert len(why) < 400


@pytest.mark.parametrize("policy", ["auto", "haveged"])
@pytest.mark.parametrize("release", ["5.4.0", "5.10.0", "6.18"])
@pytest.mark.parametrize("current", [None, "tpm-rng-0"])
def test_haveged_is_never_for_a_kernel_that_helps_itself(policy: str, release: str, current: str | None) -> None:
    for daemons in ([], ["haveged"]):
        rng = {**BARE, "kernel": {"release": release, "arch": "x86_64"}, "current": current, "daemons": daemons}
        decision = decide(rng, policy)
        assert (decision["daemon"], decision["state"]) != ("haveged", "present")


def test_a_machine_that_could_not_be_audited_is_left_alone() -> None:
    assert decide(None, "rngd")["state"] == "unmanaged"


def test_what_a_guest_says_is_made_printable() -> None:
    rng = {**BARE, "kernel": {"release": "6.1.0", "arch": "x86_64"}, "current": "evil\x1b[2J" + "x" * 500, "quality": 0}
    why = decide(rng, "auto")["why"] or ""
    assert "\x1b" not in why
    assert len(why) < 400


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, rngd"):
        decide(BARE, "always")


def test_the_probe_knows_the_daemons() -> None:
    assert set(DAEMONS) <= set(PROBED)
