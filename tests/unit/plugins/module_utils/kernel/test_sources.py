# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader drew, judged: by the table of cases/sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.health import FAILED, NO_FAILURE
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import Limits
from ansible_collections.fleet.rng.plugins.module_utils.kernel.sources import STATUSES, Drawn, judge

CASES = json.loads((Path(__file__).parents[3] / "cases/sources/judge.json").read_text(encoding="utf-8"))
SOUND = {"repetition_count": NO_FAILURE, "adaptive_proportion": NO_FAILURE, "fips_140_2": NO_FAILURE}
HEALTH = {"ok": SOUND, "bad": {**SOUND, "fips_140_2": FAILED}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_judge(case: dict[str, Any]) -> None:
    drawn, health = Drawn(**case["drawn"]), HEALTH[case["health"]]
    assert judge(drawn, Limits(*case["limits"]), health, case["least"]) == {
        "status": case["status"],
        "why": case["why"],
        "bytes": drawn.count,
        "seconds": drawn.seconds,
        "bytes_per_second": case["bytes_per_second"],
        "health": health,
    }


def test_every_status_has_a_case() -> None:
    assert {case["status"] for case in CASES} == set(STATUSES)
