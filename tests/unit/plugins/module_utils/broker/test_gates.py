# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets are open, with a real server behind them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import Config, parse
from ansible_collections.fleet.rng.plugins.module_utils.broker.gates import Gates
from ansible_collections.fleet.rng.plugins.module_utils.broker.listener import open_socket
from ansible_collections.fleet.rng.plugins.module_utils.broker.log import Log
from ansible_collections.fleet.rng.plugins.module_utils.broker.notify import Notifier
from ansible_collections.fleet.rng.plugins.module_utils.broker.pool import Pool
from ansible_collections.fleet.rng.plugins.module_utils.broker.server import Server
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Tree


class Brokers:
    """A server, and gates that can be arranged."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = os.open(directory / "log", os.O_CREAT | os.O_WRONLY)
        config = self.config("gold")
        self.pool = Pool(config.sources)
        log, notifier = Log(self.log), Notifier({})
        tree = Tree(config.classes, None, time.monotonic())
        self.server = Server(tree, self.pool, log, notifier, accept_entropy=False)
        self.gates = Gates(self.server, notifier, log)

    def config(self, *names: str, mode: str = "0660") -> Config:
        classes = [{"name": name, "sockets": [str(self.path(name))]} for name in names]
        return parse(json.dumps({"classes": classes, "socket_mode": mode}))

    def path(self, name: str) -> Path:
        return self.directory / "run" / f"{name}.sock"

    def connect(self, name: str) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path(name)))
        return client

    def is_served(self, client: socket.socket) -> bool:
        client.setblocking(False)
        client.send(b"\x02\x40")
        for dummy in range(3):
            self.server.turn(0)
        try:
            return len(client.recv(100)) == 64
        except BlockingIOError:
            return False


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Brokers]:
    made = Brokers(tmp_path)
    yield made
    for client in list(made.server.clients.values()):
        made.server.drop(client)
    made.gates.arrange(made.config(), {})
    made.pool.close()
    os.close(made.log)


def test_what_is_configured_is_open_and_the_rest_is_closed(brokers: Brokers) -> None:
    assert brokers.gates.arrange(brokers.config("gold", "silver"), {}) == []
    with brokers.connect("gold") as gold, brokers.connect("silver") as silver:
        assert brokers.is_served(gold)
        assert brokers.is_served(silver)
        assert brokers.gates.arrange(brokers.config("gold", mode="0600"), {}) == []
        assert brokers.path("gold").stat().st_mode & 0o777 == 0o600
        assert not brokers.path("silver").exists()
        assert brokers.is_served(silver), "whoever is connected stays"


def test_what_cannot_be_opened_is_told_and_tried_again(brokers: Brokers) -> None:
    brokers.path("gold").parent.mkdir()
    brokers.path("gold").mkdir()
    problems = brokers.gates.arrange(brokers.config("gold", "silver"), {})
    assert len(problems) == 1
    assert "gold.sock: something is there" in problems[0]
    with brokers.connect("silver") as silver:
        assert brokers.is_served(silver)
    brokers.gates.look()
    brokers.path("gold").rmdir()
    brokers.gates.look()
    with brokers.connect("gold") as gold:
        assert brokers.is_served(gold)


def test_a_directory_that_was_emptied_is_filled_again(brokers: Brokers) -> None:
    brokers.gates.arrange(brokers.config("gold", "silver"), {})
    with brokers.connect("gold") as before:
        assert brokers.is_served(before)
        shutil.rmtree(brokers.path("gold").parent)
        brokers.gates.look()
        assert brokers.is_served(before)
        with brokers.connect("gold") as after, brokers.connect("silver") as silver:
            assert brokers.is_served(after)
            assert brokers.is_served(silver)


def test_a_socket_that_was_handed_over_is_used(brokers: Brokers) -> None:
    brokers.path("gold").parent.mkdir()
    path = str(brokers.path("gold"))
    given = socket.socket(socket.AF_UNIX)  # is closed with the gates
    given.bind(path)
    given.listen(5)
    given.setblocking(False)
    with brokers.connect("gold") as waiting:
        sockets = {path: given, "/elsewhere": given}
        assert brokers.gates.arrange(brokers.config("gold"), sockets) == []
        assert sockets == {"/elsewhere": given}
        assert brokers.is_served(waiting)


def test_a_connection_of_a_former_socket_keeps_a_class(brokers: Brokers) -> None:
    brokers.gates.arrange(brokers.config("gold"), {})
    gold = str(brokers.path("gold"))
    assert brokers.gates.listener_of(gold, "").class_name == "gold"
    assert brokers.gates.listener_of("/run/old.sock", "").class_name == "old"
    assert brokers.gates.listener_of("/run/older.sock", "bronze").class_name == "bronze"


def test_one_that_was_handed_over_without_its_path_is_no_problem(brokers: Brokers) -> None:
    """Whoever has no clients yet would not start, again and again."""
    given = open_socket(str(brokers.path("gold")))
    shutil.rmtree(brokers.path("gold").parent)
    assert brokers.gates.arrange(brokers.config("gold"), {str(brokers.path("gold")): given}) == []
    brokers.gates.look()
    with brokers.connect("gold") as client:
        assert brokers.is_served(client)


def test_those_who_came_in_before_count_on_when_a_socket_is_opened_again(brokers: Brokers) -> None:
    brokers.gates.arrange(brokers.config("gold"), {})
    gold = str(brokers.path("gold"))
    with brokers.connect("gold") as before:
        assert brokers.is_served(before)
        shutil.rmtree(brokers.path("gold").parent)
        brokers.gates.look()
        with brokers.connect("gold") as after:
            assert brokers.is_served(after)
            assert brokers.gates.listeners[gold].clients == 2
            brokers.gates.arrange(brokers.config("silver"), {})
            brokers.gates.arrange(brokers.config("gold"), {})
            assert brokers.gates.listeners[gold].clients == 2
            assert brokers.is_served(before)
