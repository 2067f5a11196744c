# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page concludes of one guest."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page_facts

DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000}
NOTHING = {"config": "unchanged", "live": "unchanged", "changed": False, "reason": "", "error": None}


def guest(outcome: dict[str, Any] | None = None, **changes: Any) -> page_facts.Guest:
    data = {
        "name": "web1",
        "running": True,
        "state": "present",
        "before": {"config": [DEVICE], "live": []},
        "after": None,
        "outcome": {**NOTHING, **(outcome or {})},
        "verdict": None,
        "reason": "",
        **changes,
    }
    [found] = page_facts.guests_of({"hosts": [{"hypervisor": "hv1", "guests": [data]}]})
    return found


@pytest.mark.parametrize(
    ("changes", "rng"),
    [
        ({}, "no"),  # a running guest has what it runs with
        ({"running": False}, "yes"),
        ({"after": {"config": [DEVICE], "live": [DEVICE]}}, "yes"),
        ({"before": {"config": None, "live": None}}, "unknown"),
    ],
)
def test_whether_it_has_one(changes: dict[str, Any], rng: str) -> None:
    assert guest(**changes).rng == rng


@pytest.mark.parametrize(
    ("outcome", "changes", "run"),
    [
        ({}, {}, ("unchanged",)),
        ({"changed": True, "config": "added"}, {}, ("changed",)),
        ({"changed": True, "live": "needs_restart"}, {}, ("needs restart", "changed")),
        ({}, {"verdict": "waiting"}, ("needs restart",)),
        ({"error": "no slot"}, {}, ("refused",)),
        ({"error": "no slot", "changed": True}, {}, ("error", "changed")),
        ({}, {"state": "refused"}, ("refused",)),
        ({"live": "pending_removal"}, {}, ("pending removal",)),
    ],
)
def test_what_became_of_it(outcome: dict[str, Any], changes: dict[str, Any], run: tuple[str, ...]) -> None:
    assert guest(outcome, **changes).run == run


def test_an_error_is_the_reason_worth_reading() -> None:
    assert guest({"error": "no slot", "reason": "differs"}, verdict="failed", reason="none there").why == "no slot"
    assert guest({"reason": "differs"}, verdict="failed", reason="none there").why == "none there"


def test_the_ones_to_look_at_come_first() -> None:
    found = [guest({"error": "no"}), guest(verdict="failed"), guest(verdict="waiting"), guest(verdict="verified")]
    assert found == sorted(found, key=lambda one: one.rank)
    assert len({one.rank for one in found}) == len(found)


def test_text_of_others_is_made_fit_to_be_shown() -> None:
    document = {"a\u202eb": ["x\x00", {"y": "z" * 1000}], "n": 1, "none": None}
    cleaned = page_facts.clean(document)
    assert cleaned["a\\u202eb"][0] == "x\\x00"
    assert len(cleaned["a\\u202eb"][1]["y"]) == page_facts.TEXT
    assert (cleaned["n"], cleaned["none"]) == (1, None)


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (DEVICE, "/dev/urandom, 1 KiB/s"),
        ({**DEVICE, "max_bytes": "unlimited"}, "/dev/urandom, unlimited"),
        ({**DEVICE, "max_bytes": 100}, "/dev/urandom, 100 B/s"),
        ({**DEVICE, "max_bytes": 1}, "/dev/urandom, 1 B/s"),
        ({**DEVICE, "max_bytes": 1536}, "/dev/urandom, 1.5 KiB/s"),
        ({**DEVICE, "max_bytes": 1001}, "/dev/urandom, 1001 B/s"),
        ({**DEVICE, "max_bytes": 5000}, "/dev/urandom, 4.883 KiB/s (5000 B / 1000 ms)"),
        ({**DEVICE, "period": 250}, "/dev/urandom, 4 KiB/s (1024 B / 250 ms)"),
        ({**DEVICE, "period": 500, "max_bytes": 3 * 2**20}, "/dev/urandom, 6 MiB/s (3145728 B / 500 ms)"),
    ],
)
def test_a_device_in_words(device: dict[str, Any], text: str) -> None:
    assert page_facts.devices_text([device]) == text


def test_no_device_and_no_knowledge_differ() -> None:
    assert (page_facts.devices_text([]), page_facts.devices_text(None)) == ("none", "unknown")


def test_a_range_has_one_unit() -> None:
    assert page_facts.span(994.2, 1024) == "0.9709 to 1 KiB"
    assert page_facts.span(0.5, 2) == "0.5 to 2 B"
