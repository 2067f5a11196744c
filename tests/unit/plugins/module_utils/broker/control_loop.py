# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An epoll loop around the daemon's side of a control socket: turned by hand, or by a thread."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.control import Command, Control


class Loop:
    """An epoll loop as the daemon has one, with a clock that stands still."""

    def __init__(self, path: Path, commands: dict[str, Command]) -> None:
        self.now = 1000.0
        self.path = str(path)
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[], None]] = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.control = Control(self.listener, commands, self.watch, self.unwatch, lambda: self.now)

    def watch(self, descriptor: int, handler: Callable[[], None], mask: int) -> None:
        (self.epoll.modify if descriptor in self.handlers else self.epoll.register)(descriptor, mask)
        self.handlers[descriptor] = handler

    def unwatch(self, descriptor: int) -> None:
        del self.handlers[descriptor]
        self.epoll.unregister(descriptor)

    def turn(self, most: int = 1000) -> int:
        """Do what is to be done; in how many passes that was. A loop that spins is a failure."""
        for passes in range(most):
            events = self.epoll.poll(0)
            if not events:
                return passes
            for descriptor, dummy in events:
                if descriptor in self.handlers:
                    self.handlers[descriptor]()
        raise AssertionError("the loop never comes to rest")

    def connect(self, sends: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        client.setblocking(False)
        if sends:
            client.sendall(sends)
        return client

    def read(self, client: socket.socket) -> bytes:
        """What comes until nothing more does."""
        found = b""
        while True:
            self.turn()
            try:
                data = client.recv(1 << 20)
            except (BlockingIOError, ConnectionResetError):
                return found
            if not data:
                return found
            found += data

    def ask(self, request: Any) -> Any:
        sends = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        with self.connect(sends) as client:
            lines = self.read(client).decode().splitlines()
        assert len(self.control) == 0
        assert len(lines) == 1
        return json.loads(lines[0])

    def close(self) -> None:
        self.control.close()
        assert len(self.control) == 0
        assert self.handlers == {}
        self.listener.close()
        self.epoll.close()


@contextlib.contextmanager
def answering(path: Path, commands: dict[str, Callable[..., Any]]) -> Iterator[Loop]:
    """A loop that a thread turns."""
    loop = Loop(path, {name: Command(run) for name, run in commands.items()})
    ends = threading.Event()

    def turn() -> None:
        while not ends.is_set():
            loop.epoll.poll(0.01)
            loop.turn()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield loop
    finally:
        ends.set()
        thread.join()
        loop.close()
