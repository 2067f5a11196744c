# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker that crashes, hangs or becomes a new program while many clients ask it: none loses its connection."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle
from integration.broker.supervisor import Supervisor
from lab.process import PATIENCE, wait_for

MODULE_UTILS = Path(__file__).parents[3] / "plugins" / "module_utils"
CLIENTS = 100
REQUEST, SIZE = b"\x02\x40", 64
STORED = CLIENTS + 2  # and the class's listener, and the control socket


class Clients:
    """They ask again and again, and remember how often they were answered, and what went wrong."""

    def __init__(self, address: str) -> None:
        self.answers = [0] * CLIENTS
        self.lost: list[str] = []
        self._address = address
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(self._address)
                while not self._end.wait(0.02):
                    client.sendall(REQUEST)
                    left = SIZE
                    while left:
                        got = len(client.recv(left))
                        if not got:
                            raise ConnectionError("closed")
                        left -= got
                    self.answers[number] += 1
        except OSError as error:
            self.lost.append(f"client {number}: {error}")

    def all_go_on(self) -> None:
        """Return when every one of them has been answered twice more: the first may have been under way."""
        before = list(self.answers)

        def answered() -> bool:
            assert self.lost == []
            return all(now >= then + 2 for now, then in zip(self.answers, before, strict=True))

        wait_for("an answer to each client", answered)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "gold.sock")


@pytest.fixture
def broker(tmp_path: Path, address: str, request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    """Its parameter is the watchdog's time, in seconds."""
    program, config = tmp_path / "virtrngd", tmp_path / "virtrngd.json"
    program.write_text(bundle(MODULE_UTILS, "broker.main", "virtrngd", "0"))
    program.chmod(0o755)
    document = {
        "classes": [{"name": "gold", "rate": 64, "sockets": [address]}],
        "control": str(tmp_path / "control.sock"),
        "status_file": None,
        "clients_per_process": CLIENTS + 2,
    }
    config.write_text(json.dumps(document))
    watchdog = getattr(request, "param", 60)
    with Supervisor([program, "--config", config], {"PATH": "/usr/bin:/bin"}, watchdog=watchdog) as supervisor:
        yield supervisor
        assert supervisor.faults == []
        assert '"level": "error"' not in supervisor.errors


@pytest.fixture
def clients(broker: Supervisor, address: str) -> Iterator[Clients]:
    with Clients(address) as made:
        made.all_go_on()
        wait_for("all connections to be stored", lambda: len(broker.store) == STORED)
        yield made
        assert made.lost == []


def test_crashes_lose_nothing(broker: Supervisor, clients: Clients) -> None:
    for number in range(1, 6):
        broker.crash()
        clients.all_go_on()
        assert len(broker.store) == STORED
        assert broker.exit_codes == [-signal.SIGKILL] * number


def test_upgrades_lose_nothing(broker: Supervisor, clients: Clients) -> None:
    pid = broker.pid
    for number in range(1, 11):
        broker.kill(signal.SIGUSR2)
        wait_for("the new program", lambda number=number: broker.errors.count('"event": "serving"') > number)
        clients.all_go_on()
    assert (broker.pid, broker.exit_codes) == (pid, [])
    assert f'"restarts": {number}' in broker.errors
    broker.crash()  # what is stored is still right after all that
    clients.all_go_on()


@pytest.mark.parametrize("broker", [10], indirect=True, ids=["watched"])
def test_a_hung_broker_is_replaced(broker: Supervisor, clients: Clients) -> None:
    broker.kill(signal.SIGSTOP)
    broker.wait_ready(2)
    clients.all_go_on()
    assert broker.exit_codes == [-signal.SIGABRT]


def test_what_systemd_has_had_no_room_for_is_stored_by_the_next_program(broker: Supervisor, address: str) -> None:
    with contextlib.ExitStack() as stack:
        with broker.deaf():
            for dummy in range(CLIENTS):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.settimeout(PATIENCE)
                client.connect(address)
                client.sendall(REQUEST)
                assert len(client.recv(SIZE, socket.MSG_WAITALL)) == SIZE
            broker.kill(signal.SIGUSR2)
            wait_for("the new program", lambda: broker.errors.count('"event": "serving"') == 2)
            assert len(broker.store) == 2
        wait_for("all connections to be stored", lambda: len(broker.store) == STORED)
        assert len(set(broker.store)) == STORED


def test_what_is_asked_while_nobody_is_there_is_answered_later(broker: Supervisor, address: str) -> None:
    with socket.socket(socket.AF_UNIX) as old, socket.socket(socket.AF_UNIX) as new:
        for one in (old, new):
            one.settimeout(PATIENCE)
        old.connect(address)
        wait_for("the connection to be stored", lambda: len(broker.store) == 3)
        with broker.down():
            old.sendall(REQUEST)
            new.connect(address)
            new.sendall(REQUEST)
        for one in (old, new):
            assert len(one.recv(SIZE, socket.MSG_WAITALL)) == SIZE
