# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entropy brokers that nobody has started: what hosts of a made-up fleet say of theirs, sound and not."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import interpret_broker
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_findings import judge_broker

LOOKED = 1795262400  # 2026-11-21T12:00:00Z
# name, parent, rate, ceiling, priority
TREE = (
    ("production", None, 12288, None, 0),
    ("web", "production", 8192, 32768, 0),
    ("db", "production", 4096, 16384, 1),
    ("batch", None, 1024, 2048, 7),
    ("default", None, 64, None, 0),
)
LEAVES = ("web", "db", "batch", "default")


def has_broker(number: int) -> bool:
    return number % 4 == 2


def source(index: int) -> str:
    """The source of a guest of a hypervisor that has a broker."""
    return f"egd+unix:/run/virtrngd/{'web' if index % 3 else 'batch'}.sock"  # the other classes are idle


def broker(number: int, clients: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What the audit says of one with these guests and sources. The 2nd of a fleet makes a guest wait, the 5th hangs.

    The 8th has refused connections, the 10th has lost a source, and the 15th writes something else.
    """
    dice = random.Random(number)  # noqa: S311  test data, the same in every run
    fate = (number // 4) % 15
    if fate == 14:
        found = interpret_broker({BROKER: '{"schema": "fleet.rng/broker/9"}'})
        return found or {}
    guests = [_guest(name, index, Path(source).stem, dice) for index, (name, source) in enumerate(clients)]
    if fate == 1 and guests:
        guests[0]["waiting"] = 47.25
    document = {
        "schema": "fleet.rng/broker/1",
        "version": "0.1.0",
        "pid": 800 + number,
        "started": LOOKED - 86400.0,
        "updated": LOOKED - (4000.0 if fate == 4 else 2.0),
        "restarts": number % 3,
        "rate": 65536,
        "clients": len(guests),
        "refused": 3 if fate == 7 else 0,
        "protocol_errors": 0,
        "sources": _sources(fate, sum(guest["bytes"] for guest in guests)),
        "classes": [_shown(row, guests) for row in TREE],
        "guests": sorted(guests, key=lambda guest: (-(guest["waiting"] or 0), -guest["bytes"])),
        "guests_total": len(guests),
    }
    found = interpret_broker({BROKER: json.dumps(document), "now": str(LOOKED)})
    return found or {}


def findings(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    return judge_broker(found)


def _sources(fate: int, served: int) -> list[dict[str, Any]]:
    lost = fate == 9
    hardware = {"source": "/dev/hwrng", "state": "failed" if lost else "serving"}
    why = "the repetition count test failed: 12 equal bytes in a row" if lost else None
    kernel = {"source": "getrandom", "state": "serving" if lost else "standby", "why": None}
    return [
        {**hardware, "why": why, "bytes": served // 3 if lost else served, "failures": int(lost)},
        {**kernel, "bytes": served - served // 3 if lost else 0, "failures": 0},
    ]


def _guest(name: str, index: int, class_name: str, dice: random.Random) -> dict[str, Any]:
    count = dice.randrange(200, 60000) * (3 if class_name == "web" else 1)
    return {
        "guest": name,
        "class": class_name,
        "pid": 2000 + index,
        "uid": 64055,
        "bytes": count * 64,
        "requests": count,
        "waits": count // 50 if class_name == "batch" else 0,
        "waiting": round(dice.random(), 3) if class_name == "batch" and dice.random() < 0.5 else None,
    }


def _shown(row: tuple[str, str | None, int, int | None, int], guests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    name, parent, rate, ceil, priority = row
    below = {name, *(child[0] for child in TREE if child[1] == name)}
    mine = [guest for guest in guests if guest["class"] in below]
    own = [guest for guest in mine if guest["class"] == name]  # connections are counted where they end
    return {
        "name": name,
        "parent": parent,
        "rate": rate,
        "ceil": ceil,
        "burst": 512,
        "priority": priority,
        "clients": len(own),
        "waiting": sum(guest["waiting"] is not None for guest in own),
        **{key: sum(guest[key] for guest in mine) for key in ("bytes", "requests", "waits")},
        "borrowed": sum(guest["bytes"] for guest in mine) // 5,
        "sockets": [f"/run/virtrngd/{name}.sock"] if name in LEAVES else [],
    }
