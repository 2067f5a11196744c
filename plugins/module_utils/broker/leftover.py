# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pool leaves to the one of the program that replaces it: bytes that took long to get, and counters.

One line of JSON, and behind it the bytes of all sources, in the order of that line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Dict, Mapping


@dataclass(frozen=True)
class Left:
    """What is left of one source; ``proven`` is that it is sound, and needs no start-up test."""

    count: int = 0  # bytes that were handed out
    failures: int = 0
    proven: bool = False
    waiting: bytes = b""


def render(sources: Mapping[str, Left]) -> bytes:
    """Everything in one piece."""
    head = {
        name: {"bytes": one.count, "failures": one.failures, "proven": one.proven, "size": len(one.waiting)}
        for name, one in sources.items()
    }
    return json.dumps(head).encode() + b"\n" + b"".join(one.waiting for one in sources.values())


def parse(leftover: bytes) -> Dict[str, Left]:
    """What render() was given; nothing where it cannot be understood, which makes this a start like any other."""
    head, dummy, rest = leftover.partition(b"\n")
    sources: Dict[str, Left] = {}
    try:
        for name, one in json.loads(head or b"{}").items():
            size = int(one["size"])
            sources[name] = Left(int(one["bytes"]), int(one["failures"]), one["proven"] is True, rest[:size])
            rest = rest[size:]
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    return sources
