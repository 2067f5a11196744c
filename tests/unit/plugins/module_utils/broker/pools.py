# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named pipes that stand in for devices, and pools that are turned as the server's loop turns them."""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import SourceConfig
from ansible_collections.fleet.rng.plugins.module_utils.broker.pool import Event, Pool
from ansible_collections.fleet.rng.plugins.module_utils.broker.reader import Timing
from ansible_collections.fleet.rng.plugins.module_utils.health import START_UP

PATIENCE = 60.0  # seconds; nobody waits so long
NEVER = Timing(stalled=1000, retry=1000, failed=1000)
SOON = Timing(stalled=1000, retry=0.01, failed=0.01)
NOISE = random.Random(1).randbytes(1 << 18)  # noqa: S311 - data that can be had again


class Pools:
    """Pools that end with the test, and a way to wait for what they tell."""

    def __init__(self) -> None:
        self.all: list[Pool] = []
        self.events: list[Event] = []

    def new(self, *sources: SourceConfig, **arguments: Any) -> Pool:
        arguments = {"timing": NEVER, "conditioning": False, **arguments}
        self.all.append(Pool(sources, **arguments))
        return self.all[-1]

    def until(self, one: Pool, wanted: Callable[[], bool]) -> None:
        """Turn as the server's loop does, until it is so."""
        end = time.monotonic() + PATIENCE
        while not wanted():
            left = end - time.monotonic()
            assert left > 0, (self.events, one.status())
            if select.select([one], [], [], min(left, 0.05))[0]:
                self.events += one.wake()
            one.refill()

    def take(self, one: Pool, size: int) -> bytes:
        """Bytes as they come."""
        data = b""
        while len(data) < size:
            self.until(one, lambda: one.available > 0)
            data += one.take(min(size - len(data), one.available))
        return data

    def state(self, one: Pool, name: str, state: str) -> None:
        self.until(one, lambda: states(one)[name] == state)


def states(one: Pool) -> dict[str, str]:
    return {source["source"]: source["state"] for source in one.status()}


class Pipe:
    """A source, and the hand that feeds it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.hardware, self.plain = SourceConfig(self.path, "hardware"), SourceConfig(self.path, "none")
        os.mkfifo(path)
        self.feed = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        assert os.write(self.feed, data) == len(data)

    def start(self, more: bytes = b"") -> None:
        """Let it pass the start-up test."""
        self.write(NOISE[-START_UP:] + more)
