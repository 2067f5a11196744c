# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker in a line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_words import broker_line

STATUS = json.loads((Path(__file__).parents[2] / "cases/kernel_broker/status.json").read_text(encoding="utf-8"))


def line(change: Callable[[dict[str, Any]], object], now: int = 1795003603) -> str:
    document = copy.deepcopy(STATUS)
    change(document)
    return broker_line(interpret({BROKER: json.dumps(document), "now": str(now)}))


def test_classes_that_hold_others_serve_nobody_and_do_not_count() -> None:
    assert line(lambda d: None) == "4 guests in 3 classes, /dev/hwrng serving"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(guests=[], guests_total=1200), "1,200 guests in 3 classes, /dev/hwrng serving"),
        (lambda d: d.update(guests=d["guests"][:1], guests_total=1, classes=d["classes"][3:]), "1 guest in 1 class, "),
        (lambda d: d["sources"][0].update(state="failed"), ", no source serving"),
        (lambda d: d["sources"][0].update(source="\x1b[2J"), r", \x1b[2J serving"),
        (lambda d: d["guests"][0].update(waiting=11), "serving; 1 waits longer than 10 s"),
        (lambda d: [guest.update(waiting=11) for guest in d["guests"]], "serving; 4 wait longer than 10 s"),
        (lambda d: d.update(schema=""), "unreadable: it is no fleet.rng/broker/1 document"),
    ],
)
def test_what_is_said(change: Callable[[dict[str, Any]], object], said: str) -> None:
    assert said in line(change)


def test_a_broker_that_hangs_is_not_said_to_serve() -> None:
    assert line(lambda d: None, now=1795004000) == "stale: not updated for 400 seconds"


@pytest.mark.parametrize("rng", [None, "", {}, {"broker": None}, interpret({})])
def test_without_a_broker_there_is_no_line(rng: Any) -> None:
    assert broker_line(rng) == ""
