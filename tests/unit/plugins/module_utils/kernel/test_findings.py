# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of findings: its form, and that the page about it says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_findings import BROKER_RULES
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import (
    RULES,
    SEVERITIES,
    SOURCE_RULES,
    judge_sources,
)
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import Limits
from ansible_collections.fleet.rng.plugins.module_utils.kernel.sources import STATUSES, TIME_UP, Drawn, judge

PAGE = Path(__file__).parents[5] / "docs/findings.md"
ALL_RULES = RULES + SOURCE_RULES + BROKER_RULES


def test_ids_are_stable_names_in_order() -> None:
    ids = [rule.id for rule in ALL_RULES]
    assert ids == [f"RNG{number:03d}" for number in range(1, len(ALL_RULES) + 1)]


def test_severities_are_known_and_all_used() -> None:
    assert {rule.severity for rule in RULES} == set(SEVERITIES)


def test_rules_name_keys_of_the_result() -> None:
    keys = set(interpret({}))
    for rule in RULES:
        assert rule.evidence, rule.id
        assert set(rule.evidence) | set(re.findall(r"{(\w+)", rule.message)) <= keys, rule.id


def test_rules_of_sources_name_keys_of_a_tested_one() -> None:
    keys = {"source", *judge(Drawn(TIME_UP), Limits(), {})}
    for rule in SOURCE_RULES:
        assert rule.evidence, rule.id
        assert set(rule.evidence) | set(re.findall(r"{(\w+)", rule.subject + rule.message)) <= keys, rule.id


@pytest.mark.parametrize(
    ("status", "why", "ids"),
    [
        ("good", "all 65536 bytes came", []),
        ("slow", "12.0 bytes per second, less than 100", ["RNG020"]),
        ("blocked", "not a byte came in 5 s", ["RNG018"]),
        ("end of file", "it ended after 0 bytes", ["RNG019"]),
        ("failed", "the bytes failed a health test: fips_140_2", ["RNG017"]),
        ("unsafe", "is a FIFO, only a character device is safe", []),
        ("missing", "No such file or directory", []),
        ("error", "cannot be read: No such device", ["RNG021"]),
        ("error", "cannot be read: Permission denied", []),
        ("error", "source: 'x' is not valid", []),
    ],
)
def test_what_is_worth_saying_about_a_source(status: str, why: str, ids: list[str]) -> None:
    assert status in STATUSES
    tested = {**judge(Drawn(TIME_UP), Limits(), {}), "source": "/dev/hwrng", "status": status, "why": why}
    found = judge_sources([tested])
    assert [finding["id"] for finding in found] == ids
    for finding in found:
        assert finding["subject"] == "/dev/hwrng"
        assert "/dev/hwrng" in finding["message"]


def test_texts_are_sentences() -> None:
    for rule in ALL_RULES:
        assert re.fullmatch(r"[A-Z/].*\.", rule.message), rule.id
        assert re.fullmatch(r"[A-Z].*\.", rule.remedy), rule.id


def test_the_page_lists_every_finding_with_its_severity() -> None:
    rows = re.findall(r"^\| (RNG0[0-9]{2}) \| (\w+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert [(row[0], row[1], row[2].strip().strip("`")) for row in rows] == [
        *((r.id, r.severity, r.subject) for r in RULES),
        *((r.id, r.severity, "the source") for r in SOURCE_RULES),
        *((r.id, r.severity, r.subject) for r in BROKER_RULES),
    ]
