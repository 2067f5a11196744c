# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a broker, and of which broker it is not said."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import KEYS
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_findings import BROKER_RULES, judge_broker
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret

STATUS = json.loads((Path(__file__).parents[3] / "cases/kernel_broker/status.json").read_text(encoding="utf-8"))
NOW = 1795003603


def found(change: Callable[[dict[str, Any]], object], now: int = NOW) -> list[dict[str, Any]]:
    document = copy.deepcopy(STATUS)
    change(document)
    findings = interpret({BROKER: json.dumps(document), "now": str(now)})["findings"]
    return [one for one in findings if one["subject"] == "broker"]


def states(*words: str) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        for source, word in zip(document["sources"], words, strict=True):
            source["state"] = word

    return change


def waits(*seconds: float) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        guest = document["guests"][0]
        document["guests"] = [{**guest, "guest": f"g{n}", "waiting": wait} for n, wait in enumerate(seconds)]

    return change


def young(document: dict[str, Any]) -> None:
    states("starting", "missing")(document)
    document["started"] = document["updated"] - 5


@pytest.mark.parametrize(
    ("change", "now", "ids", "said"),
    [
        (lambda d: None, NOW, [], ""),
        (lambda d: None, NOW + 600, ["RNG022"], "stopped or hangs (not updated for 603 seconds)"),
        (waits(900), NOW + 600, ["RNG022"], ""),
        (states("failed", "serving"), NOW + 600, ["RNG022"], ""),
        (states("failed", "missing"), NOW + 600, ["RNG022"], ""),
        (lambda d: d.update(refused=3), NOW + 600, ["RNG022"], ""),
        (states("failed", "serving"), NOW, ["RNG023"], "give up a source, /dev/hwrng failed; getrandom serves"),
        (states("stalled", "serving"), NOW, ["RNG023"], "/dev/hwrng stalled"),
        (states("serving", "missing"), NOW, ["RNG023"], "getrandom missing; /dev/hwrng serves"),
        (states("starting", "serving"), NOW, [], ""),
        (states("failed", "missing"), NOW, ["RNG024"], "(/dev/hwrng failed, getrandom missing)"),
        (states("starting", "missing"), NOW, ["RNG024"], "/dev/hwrng starting"),
        (young, NOW, [], ""),
        (lambda d: d.update(sources=[]), NOW, ["RNG024"], "none is configured"),
        (waits(10.0, 9.9), NOW, [], ""),
        (waits(10.1), NOW, ["RNG025"], "longer than 10 seconds: g0 (silver, 10 s)."),
        (waits(*[60.0] * 7), NOW, ["RNG025"], "g4 (silver, 60 s), and 2 more."),
        (lambda d: d.update(refused=3), NOW, ["RNG026"], "refused 3 connections"),
        (lambda d: d.update(schema="x"), NOW, ["RNG027"], "cannot be read: it is no fleet.rng/broker/1 document."),
    ],
)
def test_what_is_said(change: Callable[[dict[str, Any]], object], now: int, ids: list[str], said: str) -> None:
    findings = found(change, now)
    assert [finding["id"] for finding in findings] == ids
    assert all(said in finding["message"] for finding in findings)
    assert all(finding["message"].isprintable() and finding["evidence"] for finding in findings)


def test_what_may_not_be_read_is_no_finding() -> None:
    assert interpret({"!" + BROKER: "Permission denied"})["findings"] == []
    assert [one["id"] for one in interpret({"!" + BROKER: "not a regular file"})["findings"]] == ["RNG027"]


def test_without_a_broker_nothing_is_said() -> None:
    assert judge_broker(None) == []


def test_rules_name_keys_that_are_there() -> None:
    keys = {*KEYS, "cut_off", "all_sources", "waiting_guests"}
    for rule in BROKER_RULES:
        assert set(rule.evidence) | set(re.findall(r"{(\w+)", rule.message)) <= keys, rule.id
