# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of findings: its form, and that the page about it says the same."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import RULES, SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret

PAGE = Path(__file__).parents[5] / "docs/findings.md"


def test_ids_are_stable_names_in_order() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == [f"RNG{number:03d}" for number in range(1, len(RULES) + 1)]


def test_severities_are_known_and_all_used() -> None:
    assert {rule.severity for rule in RULES} == set(SEVERITIES)


def test_rules_name_keys_of_the_result() -> None:
    keys = set(interpret({}))
    for rule in RULES:
        assert rule.evidence, rule.id
        assert set(rule.evidence) | set(re.findall(r"{(\w+)", rule.message)) <= keys, rule.id


def test_texts_are_sentences() -> None:
    for rule in RULES:
        assert re.fullmatch(r"[A-Z/].*\.", rule.message), rule.id
        assert re.fullmatch(r"[A-Z].*\.", rule.remedy), rule.id


def test_the_page_lists_every_finding_with_its_severity() -> None:
    rows = re.findall(r"^\| (RNG0[0-9]{2}) \| (\w+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert [(row[0], row[1], row[2].strip().strip("`")) for row in rows] == [
        (r.id, r.severity, r.subject) for r in RULES
    ]
