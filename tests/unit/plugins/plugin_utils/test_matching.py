# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which inventory host is which guest: by the table cases/plan/matching.json."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.matching import Seen, match
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated

CASES = json.loads((Path(__file__).parents[2] / "cases" / "plan" / "matching.json").read_text(encoding="utf-8"))


def outcome(case: dict[str, Any], shuffled: random.Random | None = None) -> dict[str, dict[str, str]]:
    guests = [
        Seen(host, index, name, uuid, running=bool(rest))
        for index, (host, name, uuid, *rest) in enumerate(case["guests"])
    ]
    inventory = list(case["inventory"].items())
    if shuffled:
        shuffled.shuffle(guests)
        shuffled.shuffle(inventory)
    values = {
        name: Untemplated(value["untemplated"]) if isinstance(value, dict) else value for name, value in inventory
    }
    found = match(guests, values, "virtio_rng_uuid")
    assert found.homes.keys() == found.copies.keys()
    assert all(home.running and home.uuid == copy.uuid for copy, home in found.homes.items())
    return {
        "matched": {str(seen): name for seen, name in found.inventory.items()},
        "refused": {str(seen): why for seen, why in found.refused.items()},
        "copies": {str(seen): why for seen, why in found.copies.items()},
        "unmatched": found.unmatched,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_match(case: dict[str, Any]) -> None:
    expected = {key: case.get(key, {}) for key in ("matched", "refused", "copies", "unmatched")}
    assert outcome(case) == expected
    for seed in range(5):
        assert outcome(case, random.Random(seed)) == expected, "the order matters"  # noqa: S311 - no secret


def test_many_twins_make_a_short_message() -> None:
    guests = [Seen(f"hv{number}", 0, "web1", f"{number}") for number in range(9)]
    found = match(guests, {"web1": None}, "virtio_rng_uuid")
    assert found.refused[guests[0]] == (
        "inventory host web1 matches web1 on hv0, web1 on hv1, web1 on hv2 and 6 more; set its virtio_rng_uuid"
    )


def test_a_hostile_name_is_escaped() -> None:
    assert str(Seen("hv1", 0, "\u202eweb\n1")) == "\\u202eweb\\x0a1 on hv1"
