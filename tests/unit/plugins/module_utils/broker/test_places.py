# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places that a process may take: a second one gets in while the first hammers, and the counts are always right."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import peer
from ansible_collections.fleet.rng.plugins.module_utils.broker.client import Client
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig
from ansible_collections.fleet.rng.plugins.module_utils.broker.listener import open_socket
from ansible_collections.fleet.rng.plugins.module_utils.broker.peer import Peer
from ansible_collections.fleet.rng.plugins.module_utils.broker.places import Places
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.serving import QEMU, Broker, is_closed
from hypothesis import given, settings
from hypothesis import strategies as st

PATIENCE = 60.0
PEERS = [Peer("x", pid) for pid in (7, 8, 0, None)]  # who come and go

# A process that takes what it gets: it tells when it was refused so often, and goes on.
HAMMER = """
import socket, sys
held = []
refused = 0
while True:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(sys.argv[1])
        client.sendall(b"\\x02\\x40")
        got = client.recv(64)
    except OSError:
        got = b""
    if got:
        held.append(client)
        continue
    client.close()
    refused += 1
    if refused == 100:
        print(len(held), flush=True)
"""


def test_whoever_has_no_connection_is_forgotten() -> None:
    places = Places()
    for dummy in range(2):
        places.take(7)
        places.take(None)
    assert (places.held(7), places.held(8), places.held(None), len(places)) == (2, 0, 0, 1)
    for dummy in range(3):  # also once too often
        places.leave(7)
        places.leave(None)
    assert (places.held(7), len(places)) == (0, 0)
    places.take(7)
    assert places.held(7) == 1


@contextmanager
def hammering(broker: Broker) -> Iterator[subprocess.Popen[str]]:
    """Another process that takes all the places it gets, and has been refused a hundred times."""
    with subprocess.Popen([sys.executable, "-c", HAMMER, broker.path], stdout=subprocess.PIPE, text=True) as process:
        try:
            turn_until(broker, lambda: broker.gates.refused >= 100)
            yield process
        finally:
            process.kill()


def turn_until(broker: Broker, what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until
        broker.server.turn(0.01)


def test_a_second_process_gets_a_place_while_the_first_hammers(tmp_path: Path) -> None:
    broker = Broker(tmp_path, clients=8, each=3)
    try:
        with hammering(broker) as process:
            assert broker.server.places.held(process.pid) == 3
            ours = [broker.connect() for dummy in range(4)]
            turn_until(broker, lambda: len(broker.server.clients) == 6)
            for client in ours[:3]:
                assert len(broker.ask(client)) == 64
            turn_until(broker, lambda: is_refused(ours[3]))
            assert broker.server.places.held(process.pid) == 3
            assert broker.listener.clients == 6
        said = (tmp_path / "log").read_text()
        assert f"pid {process.pid} has too many connections" in said
        assert said.count('"refused"') <= 20, "one kind of line cannot fill the log"
        turn_until(broker, lambda: len(broker.server.clients) == 3)
        assert len(broker.server.places) == 1
    finally:
        broker.close()


def is_refused(client: socket.socket) -> bool:
    try:
        return is_closed(client)
    except BlockingIOError:
        return False


def test_without_a_bound_it_would_not(tmp_path: Path) -> None:
    """That the hammer above is one: it takes every place that there is."""
    broker = Broker(tmp_path, clients=8)
    try:
        with hammering(broker) as process:
            assert broker.server.places.held(process.pid) == 8
            assert is_closed(broker.connect())
    finally:
        broker.close()


def test_a_place_that_was_left_can_be_taken_again(tmp_path: Path) -> None:
    broker = Broker(tmp_path, each=2)
    try:
        first, dummy, third = (broker.connect() for dummy in range(3))
        assert is_closed(third)
        assert broker.gates.refused == 1
        first.close()
        broker.turn()
        assert len(broker.ask(broker.connect())) == 64
    finally:
        broker.close()


def test_it_is_one_number_for_all_sockets(tmp_path: Path) -> None:
    """Or whoever is in the sockets' group would have as many in each class, and all the places of the broker."""
    broker = Broker(tmp_path, each=2)
    other = str(tmp_path / "silver.sock")
    classes = [{"name": "gold", "sockets": [broker.path]}, {"name": "silver", "sockets": [other]}]
    broker.server.tree.replace([ClassConfig("gold"), ClassConfig("silver")], None, time.monotonic())
    broker.arrange(classes=classes, clients_per_process=2)
    try:
        with socket.socket(socket.AF_UNIX) as second, socket.socket(socket.AF_UNIX) as third:
            broker.connect()
            second.connect(other)
            third.connect(other)
            broker.turn(3)
            assert third.recv(1) == b""
            broker.arrange(classes=classes, clients_per_process=3)
            with socket.socket(socket.AF_UNIX) as fourth:
                fourth.connect(other)
                fourth.sendall(QEMU)
                broker.turn(3)
                assert len(fourth.recv(64)) == 64, "a reload may allow more"
    finally:
        broker.close()


def test_tcp_has_the_limit_of_its_class_only(tmp_path: Path) -> None:
    probe = open_socket("tcp://127.0.0.1:0")
    port = probe.getsockname()[1]
    probe.close()
    broker = Broker(tmp_path)
    classes = [{"name": "gold", "sockets": [broker.path, f"tcp://127.0.0.1:{port}"]}]
    broker.arrange(classes=classes, clients_per_process=1, clients_per_socket=5)
    try:
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for dummy in range(6)]
            broker.turn(3)
            assert len(broker.server.clients) == 5
            assert clients[5].recv(1) == b""
            assert len(broker.server.places) == 0
        turn_until(broker, lambda: not broker.server.clients)
    finally:
        broker.close()


NAMESPACE = """
import socket, struct, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print("listens", flush=True)
    client = listener.accept()[0]
    print(*struct.unpack("iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)), flush=True)
"""


def test_the_kernel_says_0_for_a_process_of_another_namespace(tmp_path: Path) -> None:
    """What the rule for the pid 0 is there for."""
    unshare = ("unshare", "--map-root-user", "--pid", "--fork")
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no PID namespaces here")
    path = str(tmp_path / "s")
    command = [*unshare, sys.executable, "-c", NAMESPACE, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            pid = int(process.stdout.readline().split()[0])
        assert process.wait(PATIENCE) == 0
    assert pid == 0


def test_those_whose_pid_cannot_be_seen_have_only_the_limit_of_the_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_credentials", lambda dummy: (0, 107, 107))
    broker = Broker(tmp_path, each=2)
    try:
        for client in [broker.connect() for dummy in range(20)]:
            assert len(broker.ask(client)) == 64
        assert len(broker.server.places) == 0
    finally:
        broker.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("comes"), st.integers(0, len(PEERS) - 1)),
        st.tuples(st.sampled_from(["leaves", "is dropped"]), st.integers(0, 20)),
        st.just(("all are handed over", 0)),
    ),
    max_size=40,
)


class Host:
    """A server, then its next self, with ends of connections that say whose they are."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = self.start()
        self.guests: list[tuple[socket.socket, Client, Peer]] = []

    def start(self) -> Broker:
        return Broker(Path(mkdtemp(dir=self.directory)))

    def do(self, step: str, number: int) -> None:
        if step == "comes":
            ours, theirs = socket.socketpair()
            client = self.broker.server.adopt(ours, self.broker.listener, PEERS[number])
            self.guests.append((theirs, client, PEERS[number]))
        elif step == "all are handed over":
            self.hand_over()
        elif self.guests:
            theirs, client, dummy = self.guests.pop(number % len(self.guests))
            if step == "is dropped":
                self.broker.server.drop(client)
                self.broker.server.drop(client)  # which may be found out twice
            theirs.close()
            self.broker.turn(2)

    def hand_over(self) -> None:
        """As the program's next self takes over what it is told of each connection."""
        before, self.broker = self.broker, self.start()
        for number, (theirs, client, guest) in enumerate(self.guests):
            state = json.loads(json.dumps(client.state()))
            sock = socket.socket(fileno=client.sock.detach())
            taken = self.broker.server.adopt(sock, self.broker.listener, Peer(*state["peer"]), state["name"])
            self.guests[number] = (theirs, taken, guest)
        before.abandon()

    def close(self) -> None:
        while self.guests:
            self.do("leaves", 0)
        self.broker.close()


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_counts_are_right_whoever_comes_and_goes(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as directory:
        host = Host(Path(directory))
        try:
            for step in steps:
                host.do(*step)
                places = host.broker.server.places
                expected = Counter(guest.pid for dummy, dummy_client, guest in host.guests if guest.pid)
                assert {pid: places.held(pid) for pid in expected} == expected
                assert len(places) == len(expected)
        finally:
            host.close()
        assert len(host.broker.server.places) == 0
        assert host.broker.listener.clients == 0
