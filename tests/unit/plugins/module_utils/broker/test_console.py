# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the control socket is while its directory comes and goes, with a real loop behind it."""

from __future__ import annotations

import grp
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import Config, parse
from ansible_collections.fleet.rng.plugins.module_utils.broker.console import Console
from ansible_collections.fleet.rng.plugins.module_utils.broker.control import Command, Connection
from ansible_collections.fleet.rng.plugins.module_utils.broker.listener import ListenError, open_socket
from ansible_collections.fleet.rng.plugins.module_utils.broker.log import Log
from ansible_collections.fleet.rng.plugins.module_utils.broker.notify import Notifier
from ansible_collections.fleet.rng.plugins.module_utils.broker.pool import Pool
from ansible_collections.fleet.rng.plugins.module_utils.broker.server import Server
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Tree


class Consoles:
    """A console, and the loop that it is part of."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.path = directory / "run" / "control.sock"
        self.log = directory / "log"
        self._log = os.open(self.log, os.O_CREAT | os.O_WRONLY)
        self.kept: list[Connection] = []
        config = self.config(**settings)
        self.pool = Pool(config.sources)
        log, notifier = Log(self._log), Notifier({})
        tree = Tree(config.classes, None, time.monotonic())
        self.server = Server(tree, self.pool, log, notifier, accept_entropy=False)
        commands = {"hello": Command(lambda dummy: {"hello": 1}), "later": Command(self.kept.append)}
        self.console = Console(config, commands, self.server, notifier, log)

    def config(self, **settings: str) -> Config:
        return parse(json.dumps({"classes": [], "control": str(self.path), **settings}))

    def ask(self, command: str) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        client.setblocking(False)
        client.sendall(json.dumps({"command": command}).encode() + b"\n")
        self.turn()
        return client

    def turn(self) -> None:
        for dummy in range(3):
            self.server.turn(0)

    def answers(self) -> bool:
        with self.ask("hello") as client:
            return json.loads(client.recv(100)) == {"ok": True, "hello": 1}

    def close(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self.path.mkdir(parents=True)
        self.console.look()  # closes its socket, and cannot open another
        self.pool.close()
        os.close(self._log)


@pytest.fixture
def consoles(tmp_path: Path) -> Iterator[Consoles]:
    made = Consoles(tmp_path, control_mode="0600")
    yield made
    made.close()


def test_it_is_open_for_those_who_may(consoles: Consoles) -> None:
    consoles.console.open()
    assert consoles.path.stat().st_mode & 0o777 == 0o600
    consoles.console.look()
    assert consoles.answers()
    assert len(consoles.console.descriptors()) == 1
    assert consoles.log.read_text() == ""


def test_it_is_opened_again_and_who_waits_for_an_answer_still_gets_it(consoles: Consoles) -> None:
    consoles.console.open()
    with consoles.ask("later") as early:
        shutil.rmtree(consoles.path.parent)
        consoles.console.look()
        assert consoles.answers()
        assert "socket opened again" in consoles.log.read_text()
        consoles.kept[0].answer({"late": True})
        consoles.turn()
        assert json.loads(early.recv(100)) == {"ok": True, "late": True}
    assert len(consoles.console.descriptors()) == 1


def test_what_hinders_it_is_said_until_it_is_gone(consoles: Consoles) -> None:
    consoles.console.open()
    consoles.path.unlink()
    consoles.path.mkdir()
    consoles.console.look()
    assert consoles.console.descriptors() == []
    assert "something is there that is no socket" in consoles.log.read_text()
    consoles.console.look()
    consoles.path.rmdir()
    consoles.console.look()
    assert consoles.answers()


def test_one_that_was_handed_over_is_kept_until_its_path_is_seen_to_be_gone(consoles: Consoles) -> None:
    given = open_socket(str(consoles.path))
    consoles.path.unlink()
    consoles.console.open(given)
    assert consoles.console.descriptors() == [given.fileno()]
    consoles.console.look()
    assert consoles.answers()


def test_a_reload_changes_who_may(consoles: Consoles) -> None:
    consoles.console.open()
    with consoles.ask("later") as early:
        assert consoles.console.arrange(consoles.config(control_mode="0666")) == []
        assert consoles.path.stat().st_mode & 0o777 == 0o666
        consoles.kept[0].answer({"late": True})
        consoles.turn()
        assert json.loads(early.recv(100)) == {"ok": True, "late": True}
    shutil.rmtree(consoles.path.parent)
    consoles.console.look()
    assert consoles.path.stat().st_mode & 0o777 == 0o666, "also when it is opened again"
    assert consoles.answers()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to any group")
def test_a_reload_changes_the_group_and_back(consoles: Consoles) -> None:
    consoles.console.open()
    other = next(one for one in grp.getgrall() if one.gr_gid != os.getegid())
    assert consoles.console.arrange(consoles.config(control_group=other.gr_name)) == []
    assert consoles.path.stat().st_gid == other.gr_gid
    assert consoles.console.arrange(consoles.config()) == []
    assert consoles.path.stat().st_gid == os.getegid(), "whoever is in that group may no more"


def test_what_a_reload_cannot_change_is_told_and_it_answers_on(consoles: Consoles) -> None:
    consoles.console.open()
    elsewhere = str(consoles.path.with_name("other.sock"))
    problems = consoles.console.arrange(consoles.config(control=elsewhere, control_mode="0640"))
    assert problems == [f"control {elsewhere}: a new path needs an upgrade or a restart"]
    assert consoles.path.stat().st_mode & 0o777 == 0o640
    (problem,) = consoles.console.arrange(consoles.config(control_group="fleet-rng-no-such-group"))
    assert "no group fleet-rng-no-such-group" in problem
    consoles.console.look()
    assert consoles.answers()


def test_a_reload_leaves_what_is_not_there_to_the_next_look(consoles: Consoles) -> None:
    consoles.console.open()
    consoles.path.unlink()
    consoles.path.touch(mode=0o600)  # somebody else's
    assert consoles.console.arrange(consoles.config(control_mode="0666")) == []
    assert consoles.path.stat().st_mode & 0o777 == 0o600
    consoles.path.unlink()
    consoles.console.look()
    assert consoles.path.stat().st_mode & 0o777 == 0o666
    assert consoles.answers()


def test_it_may_fail_at_first(tmp_path: Path) -> None:
    consoles = Consoles(tmp_path, control_group="fleet-rng-no-such-group")
    try:
        with pytest.raises(ListenError, match="no group fleet-rng-no-such-group"):
            consoles.console.open()
        consoles.console.look()
        assert "socket missing" in consoles.log.read_text()
        assert consoles.console.descriptors() == []
    finally:
        consoles.close()
