# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of others make of recorded machines: by the table cases/compliance/rules.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.plugin_utils.compliance import (
    AGREE,
    JUDGEMENTS,
    RESULTS,
    RULES,
    compliance,
)

FOLDER = Path(__file__).parents[2] / "cases"
MACHINES = {
    path.stem: interpret(json.loads(path.read_text(encoding="utf-8"))["snapshot"])
    for path in sorted((FOLDER / "kernel").glob("*.json"))
}
CASES = json.loads((FOLDER / "compliance" / "rules.json").read_text(encoding="utf-8"))
DOCUMENTATION = (Path(__file__).parents[4] / "docs" / "compliance.md").read_text(encoding="utf-8")


def judged(case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rng = {**MACHINES[case["machine"]], **case.get("set", {})}
    return {item["id"]: item for item in compliance(rng, case.get("fips_failures"))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rules(case: dict[str, Any]) -> None:
    found = judged(case)
    for rule, (result, judgement, why) in case["expect"].items():
        item = found[rule]
        assert (rule, item["result"], item["judgement"]) == (rule, result, judgement)
        assert item["why"].startswith(why)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_every_rule_is_passed_and_failed_by_some_machine(rule: str) -> None:
    results = {case["expect"][rule][0] for case in CASES if rule in case["expect"]}
    packages = ("RHEL-08-010472", "RHEL-09-215090")  # that one is missing cannot be seen
    assert results >= ({"pass", "unknown"} if rule in packages else {"pass", "fail"})


@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_is_held_against_every_rule(name: str) -> None:
    found = compliance(MACHINES[name])
    assert [item["id"] for item in found] == [rule.id for rule in RULES]
    for item in found:
        assert list(item) == ["id", "title", "result", "why", "judgement", "note"]
        assert item["result"] in RESULTS
        assert item["judgement"] in JUDGEMENTS
        assert item["note"] or item["judgement"] == AGREE, "a judgement of our own says why"
        assert len(item["why"]) <= 200
        assert item["why"].isprintable()


def test_notes_are_few_so_that_a_report_can_count_them() -> None:
    notes = {(item["id"], item["note"]) for rng in MACHINES.values() for item in compliance(rng)}
    assert all(sum(1 for rule, dummy in notes if rule == each.id) <= 4 for each in RULES)


def test_a_machine_that_told_nothing_passes_nothing() -> None:
    assert {item["result"] for item in compliance({})} == {"unknown"}
    nulls = dict.fromkeys(MACHINES["debian-6.1-guest"])
    assert {item["result"] for item in compliance(nulls)} == {"unknown"}


def test_what_a_machine_says_is_made_printable() -> None:
    rng = {
        "os": {"id": "x", "version": "\x1b[2J", "name": "\u202e" * 500},
        "kernel": {"release": "6.1\x1b" + "x" * 500},
        "current": "\x1b" * 500,
        "daemons": [],
        "cpu": ["\x1b"],
    }
    assert all(item["why"].isprintable() and len(item["why"]) <= 200 for item in compliance(rng))


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_every_rule_is_documented(rule: str) -> None:
    assert f"`{rule}`" in DOCUMENTATION
