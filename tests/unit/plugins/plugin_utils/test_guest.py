# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done inside which guest: by the table cases/guest/plans.json, with the tables that the role ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.plugin_utils.guest import mistakes, plan, recap

ROOT = Path(__file__).parents[4]
CASES = json.loads((ROOT / "tests/unit/cases/guest/plans.json").read_text(encoding="utf-8"))
RNG = {"virtio_devices": ["virtio2"], "available": ["virtio_rng.0"], "cpu": [], "arguments": {}}
WISHES = {"driver": True, "initramfs": "auto", "current": "unmanaged", "arguments": {}}


def table(family: str) -> dict[str, Any]:
    text = (ROOT / "roles/rng_guest/vars" / f"{family}.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["__rng_guest_table"]
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_plans(case: dict[str, Any]) -> None:
    planned = plan({**RNG, **case["rng"]}, "\n".join(case["look"]), {**WISHES, **case["wishes"]}, table(case["table"]))
    sentences = {key: case["expect"].get(key) for key in ("problems", "notes") if key in case["expect"]}
    assert {key: planned[key] for key in case["expect"] if key not in sentences} == {
        key: value for key, value in case["expect"].items() if key not in sentences
    }
    for key, words in sentences.items():
        assert len(planned[key]) == len(words), planned[key]
        assert all(word in sentence for word, sentence in zip(words, planned[key], strict=True))


def test_a_flood_is_cut() -> None:
    planned = plan(RNG, "denied x\n" * 100000, WISHES, table("Debian"))
    assert len(json.dumps(planned)) < 10000


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({}, None),
        ({"arguments": {"random.trust_cpu": "on", "rng_core.default_quality": 1000}}, None),
        ({"initramfs": "sometimes"}, "rng_guest_initramfs"),
        ({"current": "tpm"}, "rng_guest_current"),
        ({"arguments": {"random.trust_cpu": True}}, "in quotes"),
        ({"arguments": {"init": "/bin/sh"}}, "rng_guest_kernel_arguments"),
        ({"arguments": {"random.trust_cpu": 'on"; reboot; "'}}, "rng_guest_kernel_arguments"),
        ({"arguments": {"random.trust_cpu=on quiet": "x"}}, "rng_guest_kernel_arguments"),
        ({"arguments": ["random.trust_cpu"]}, "rng_guest_kernel_arguments"),
    ],
)
def test_mistakes(wishes: dict[str, Any], words: str | None) -> None:
    found = mistakes({**WISHES, **wishes})
    assert len(found) == (words is not None)
    assert all(words in sentence for sentence in found if words)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (
            {"rng": {"current": "virtio_rng.0", "cpu": ["rdrand"], "arguments": {}}, "changed": []},
            "web1: virtio_rng.0 feeds its kernel, and rdrand. Nothing to change.",
        ),
        (
            {"rng": {"current": None, "cpu": [], "arguments": {}}, "changed": ["x"], "check_mode": True},
            "web1: only timing feeds its kernel. Would change: x.",
        ),
        (
            {
                "rng": {"current": None, "cpu": ["rndr"], "arguments": {}},
                "changed": ["a", "b"], "waits": ["c"], "problems": ["d"], "notes": ["e\x1b"],
            },
            ("web1: no hardware RNG feeds its kernel, only rndr. "
             "Changed: a; b. Waits for a reboot: c. Not done: d. Note: e\\x1b."),
        ),
        (
            {"rng": {"current": "a", "cpu": [], "arguments": {"random.trust_cpu": "off"}}},
            "web1: a feeds its kernel (arguments: random.trust_cpu=off). Nothing to change.",
        ),
        ({"unsupported": "Windows"}, "web1: Windows."),
        ({"rng": None, "changed": []}, "web1: It could not be audited. Nothing to change."),
    ],
)  # fmt: skip
def test_recap(state: dict[str, Any], line: str) -> None:
    assert recap({"guest": "web1", **state}) == line
