# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of randomness that behave and that do not, as character devices: pseudo-terminals, served from here.

    terminals.py KIND...

writes one line of JSON, the path of each kind and its own pid, and serves until it is ended. ``rate=N`` gives N bytes a
second, and no more than one read's worth at once after nobody has read for a while.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import random
import sys
import termios
import time
import tty
from collections.abc import Callable

_STEP = 0.005
_BLOCK = 256


class Terminal:
    """One source. It is fed while less than a block waits to be read."""

    def __init__(self, give: Callable[[], bytes], *, raw: bool = True) -> None:
        self.master, self.slave = os.openpty()  # the slave stays open: else its settings go with its last reader
        if raw:
            tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.give = give

    def feed(self) -> None:
        waiting = array.array("i", [0])
        fcntl.ioctl(self.slave, termios.FIONREAD, waiting)
        if waiting[0] < _BLOCK:
            try:
                os.write(self.master, self.give())
            except BlockingIOError:
                pass


class Paced:
    """Random bytes at a rate. What nobody reads is not owed later, beyond what a busy machine may be late."""

    LATE = 0.25  # seconds

    def __init__(self, rate: int) -> None:
        self.rate, self.owed, self.then = rate, 0.0, time.monotonic()

    def __call__(self) -> bytes:
        now = time.monotonic()
        self.owed = min(self.owed + (now - self.then) * self.rate, self.rate * self.LATE)
        self.then = now
        size = min(int(self.owed), _BLOCK)
        self.owed -= size
        return os.urandom(size)


def biased() -> Callable[[], bytes]:
    """Bits that are ones in 55 of 100 cases."""
    chance = random.Random(1)  # noqa: S311 - it is to be bad
    return lambda: bytes(sum((chance.random() < 0.55) << bit for bit in range(8)) for dummy in range(1024))


def once(data: bytes) -> Callable[[], bytes]:
    left = [data]
    return lambda: left.pop() if left else b""


def terminal(kind: str) -> Terminal:
    name, dummy, value = kind.partition("=")
    if name == "end":
        return Terminal(lambda: b"\x04", raw=False)  # typed at the beginning of a line, it is the end of the file
    makers: dict[str, Callable[[], Callable[[], bytes]]] = {
        "good": lambda: lambda: os.urandom(4096),
        "stuck": lambda: lambda: b"\xa5" * 4096,
        "biased": biased,
        "silent": lambda: bytes,
        "burst": lambda: once(os.urandom(100)),
        "rate": lambda: Paced(int(value)),
    }
    return Terminal(makers[name]())


terminals = {kind: terminal(kind) for kind in sys.argv[1:]}
paths = {kind: os.ttyname(one.slave) for kind, one in terminals.items()}
print(json.dumps({"pid": os.getpid(), "paths": paths}), flush=True)
while True:
    for one in terminals.values():
        one.feed()
    time.sleep(_STEP)
