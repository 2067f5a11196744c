# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with one class and its clients, on real sockets, turn by turn."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig, SourceConfig, parse
from ansible_collections.fleet.rng.plugins.module_utils.broker.gates import Gates
from ansible_collections.fleet.rng.plugins.module_utils.broker.log import Log
from ansible_collections.fleet.rng.plugins.module_utils.broker.notify import Notifier
from ansible_collections.fleet.rng.plugins.module_utils.broker.pool import Pool
from ansible_collections.fleet.rng.plugins.module_utils.broker.server import Server
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Tree

QEMU = b"\x02\x40"


class Broker:
    """A server with one class, and clients of it. Turns are made here, so that nothing depends on a clock."""

    def __init__(
        self, directory: Path, rate: int | None = None, burst: int = 512, clients: int = 4096, each: int = 4096
    ) -> None:
        log = os.open(directory / "log", os.O_CREAT | os.O_WRONLY)
        self.pool = Pool([SourceConfig("getrandom", "none")])
        classes = [ClassConfig("gold", rate=rate or 64, ceil=rate, burst=burst)]
        tree = Tree(classes, None, time.monotonic())
        self.server = Server(tree, self.pool, Log(log), Notifier({}), accept_entropy=False)
        self.gates = Gates(self.server, Notifier({}), Log(log))
        self.path = str(directory / "gold.sock")
        one = {"name": "gold", "sockets": [self.path]}
        self.arrange(classes=[one], clients_per_socket=clients, clients_per_process=each)
        self.listener = self.gates.listeners[self.path]
        self._clients: list[socket.socket] = []
        self._log = log

    def arrange(self, **settings: Any) -> None:
        self.gates.arrange(parse(json.dumps(settings)), {})

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(self.path)
        client.setblocking(False)
        self._clients.append(client)
        self.turn()
        return client

    def turn(self, times: int = 1) -> None:
        for dummy in range(times):
            self.server.turn(0)

    def read(self, client: socket.socket, times: int = 3) -> bytes:
        self.turn(times)
        try:
            return client.recv(1 << 20)
        except BlockingIOError:
            return b""

    def ask(self, client: socket.socket) -> bytes:
        """What a client gets that asks as QEMU does."""
        client.send(QEMU)
        return self.read(client)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.turn(2)
        self.abandon()

    def abandon(self) -> None:
        """Close what is its own, and leave the connections to somebody else."""
        self.pool.close()
        self.arrange(classes=[])
        os.close(self._log)


def is_closed(client: socket.socket) -> bool:
    """A close is a reset where something that was sent was not read."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


class Dry:
    """A source that has so many bytes and gets no more."""

    def __init__(self, available: int) -> None:
        self.available = available

    def refill(self) -> None:
        pass

    def take(self, size: int) -> bytes:
        assert size <= self.available
        self.available -= size
        return bytes(size)

    def give_back(self, size: int) -> None:
        self.available += size
