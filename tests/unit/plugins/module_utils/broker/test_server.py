# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop with real sockets: exact answers, whatever clients send, and however they send it."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import server as server_module
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig, SourceConfig, parse
from ansible_collections.fleet.rng.plugins.module_utils.broker.gates import SEND_BUFFER, Gates
from ansible_collections.fleet.rng.plugins.module_utils.broker.log import Log
from ansible_collections.fleet.rng.plugins.module_utils.broker.notify import Notifier
from ansible_collections.fleet.rng.plugins.module_utils.broker.peer import Peer
from ansible_collections.fleet.rng.plugins.module_utils.broker.pool import Pool
from ansible_collections.fleet.rng.plugins.module_utils.broker.server import CHEAP, PEEK, Server
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QEMU = b"\x02\x40"


class Broker:
    """A server with one class, and clients of it. Turns are made here, so that nothing depends on a clock."""

    def __init__(self, directory: Path, rate: int | None = None, burst: int = 512, clients: int = 4096) -> None:
        log = os.open(directory / "log", os.O_CREAT | os.O_WRONLY)
        self.pool = Pool([SourceConfig("getrandom", "none")])
        classes = [ClassConfig("gold", rate=rate or 64, ceil=rate, burst=burst)]
        tree = Tree(classes, None, time.monotonic())
        self.server = Server(tree, self.pool, Log(log), Notifier({}), accept_entropy=False)
        self.gates = Gates(self.server, Notifier({}), Log(log))
        self.path = str(directory / "gold.sock")
        one = {"name": "gold", "sockets": [self.path]}
        self.gates.arrange(parse(json.dumps({"classes": [one], "clients_per_socket": clients})), {})
        self.listener = self.gates.listeners[self.path]
        self._clients: list[socket.socket] = []
        self._log = log

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

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.turn(2)
        self.pool.close()
        if self.listener.sock:
            self.listener.sock.close()
        os.close(self._log)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.close()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Broker]:
    """A class that gets 512 bytes, and then one byte a second."""
    made = Broker(tmp_path, rate=1)
    yield made
    made.close()


def is_closed(client: socket.socket) -> bool:
    """A close is a reset where something that was sent was not read."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("size", [1, 64, 255])
def test_a_request_gets_its_bytes_and_no_more(broker: Broker, size: int) -> None:
    client = broker.connect()
    client.send(bytes([2, size]))
    answer = broker.read(client)
    assert len(answer) == size
    assert broker.read(client) == b""
    client.send(bytes([2, size]))
    assert size < 8 or broker.read(client) != answer


def test_no_byte_is_given_out_twice(broker: Broker) -> None:
    clients = [broker.connect() for dummy in range(20)]
    for client in clients:
        client.send(b"\x02\xff" * 8)
    given = [answer[at : at + 16] for answer in map(broker.read, clients) for at in range(0, len(answer), 16)]
    assert len(given) >= 20 * 8 * 255 // 16
    assert len(set(given)) == len(given)


def test_count_take_pid_and_add(broker: Broker) -> None:
    client = broker.connect()
    client.send(b"\x00")
    assert struct.unpack(">I", broker.read(client))[0] > 0
    client.send(b"\x01\x20")
    answer = broker.read(client)
    assert (answer[0], len(answer)) == (32, 33)
    client.send(b"\x01\x00")
    assert broker.read(client) == b"\x00"
    client.send(b"\x04")
    digits = str(os.getpid()).encode()
    assert broker.read(client) == bytes([len(digits)]) + digits
    client.send(b"\x03\x00\x40\x08deadbeef")
    assert broker.read(client) == b"", "entropy is refused, and nothing is said"
    client.send(b"\x02\x00" + QEMU)
    assert len(broker.read(client)) == 64, "of nothing there is nothing to send"


def test_a_request_at_once_gets_nothing_when_its_class_may_not_have_it(slow: Broker) -> None:
    client = slow.connect()
    client.send(b"\x01\xff" * 4)
    answer = slow.read(client, 10)
    sizes = []
    while answer:
        sizes.append(answer[0])
        answer = answer[1 + answer[0] :]
    assert sizes[0] == 255
    assert sizes[-1] == 0
    assert len(sizes) == 4
    client.send(b"\x04")
    assert slow.read(client)[1:] == str(os.getpid()).encode(), "it does not wait"


def test_answers_come_in_the_order_of_the_commands(broker: Broker) -> None:
    client = broker.connect()
    client.send(b"\x04\x02\x07\x01\x05\x00\x02\x09")
    answer = broker.read(client, 10)
    own = len(str(os.getpid()))
    assert answer[: 1 + own] == bytes([own]) + str(os.getpid()).encode()
    assert answer[1 + own + 7] == 5
    assert len(answer) == 1 + own + 7 + 6 + 4 + 9


def test_commands_that_arrive_byte_by_byte(broker: Broker) -> None:
    client = broker.connect()
    for byte in b"\x03\x00\x10\x02hi" + QEMU:
        assert broker.read(client) == b""
        client.send(bytes([byte]))
    assert len(broker.read(client)) == 64


def test_a_long_pipeline_is_answered_whole(broker: Broker) -> None:
    client = broker.connect()
    commands = PEEK * 3
    client.send(b"\x02\x01" * commands)
    assert len(b"".join(broker.read(client, CHEAP) for dummy in range(100))) == commands


def test_a_crowd_of_cheap_commands_does_not_hold_up_others(broker: Broker) -> None:
    greedy, other = broker.connect(), broker.connect()
    greedy.send(b"\x04" * 10_000)
    other.send(QEMU)
    broker.turn()
    assert len(other.recv(100)) == 64
    got = len(greedy.recv(1 << 20))
    assert got <= CHEAP * (1 + len(str(os.getpid()))), "a pass answers so many of one client"
    for dummy in range(10_000 // CHEAP + 1):
        got += len(broker.read(greedy, 1))
    assert got == 10_000 * (1 + len(str(os.getpid())))


def test_who_waits_goes_on_when_its_class_may(slow: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    client = slow.connect()
    client.send(b"\x02\xff" * 4)
    assert len(slow.read(client, 10)) == 3 * 255, "the bucket may owe for the last of them"
    waiting = next(iter(slow.server.clients.values()))
    assert waiting.asking
    later = time.monotonic() + 1000
    monkeypatch.setattr(server_module.time, "monotonic", lambda: later)
    assert len(slow.read(client)) == 255
    assert waiting.waits == 1


def test_a_request_stays_in_the_kernel_until_it_is_answered(slow: Broker) -> None:
    """So whoever has the socket after a crash finds it."""
    client = slow.connect()
    client.send(b"\x02\xff" * 5)
    slow.read(client, 10)
    ours = next(iter(slow.server.clients.values())).sock
    assert ours.recv(100, socket.MSG_PEEK) == b"\x02\xff" * 2


def test_who_takes_no_answers_gets_no_more_and_keeps_nobody(broker: Broker) -> None:
    deaf, other = broker.connect(), broker.connect()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    for dummy in range(1000):
        try:
            deaf.send(b"\x02\xff" * 100)
        except BlockingIOError:
            break
        broker.turn()
    client = next(one for one in broker.server.clients.values() if one.out)
    assert client.bytes <= 4 * SEND_BUFFER
    other.send(QEMU)
    assert len(broker.read(other)) == 64
    before = client.bytes
    broker.turn(20)
    assert client.bytes == before
    taken = len(deaf.recv(1 << 20))
    broker.turn(3)
    assert client.bytes > before, "it takes them again"
    assert taken > 0


def test_who_owes_something_for_too_long_is_closed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished, idle, waiting = broker.connect(), broker.connect(), broker.connect()
    unfinished.send(b"\x02")
    broker.turn(2)
    broker.server.sweep()
    assert len(broker.server.clients) == 3
    later = time.monotonic() + server_module.UNFINISHED + 1
    monkeypatch.setattr(server_module.time, "monotonic", lambda: later)
    broker.turn()
    broker.server.sweep()
    assert is_closed(unfinished)
    assert len(broker.server.clients) == 2
    for client in (idle, waiting):
        client.send(QEMU)
        assert len(broker.read(client)) == 64


def test_who_says_nonsense_is_closed(broker: Broker) -> None:
    client, other = broker.connect(), broker.connect()
    client.send(QEMU + b"\x05" + QEMU)
    assert len(broker.read(client)) == 64
    assert is_closed(client)
    assert broker.server.protocol_errors == 1
    other.send(QEMU)
    assert len(broker.read(other)) == 64


def test_who_stops_sending_is_answered_and_closed(broker: Broker) -> None:
    client = broker.connect()
    client.send(QEMU * 20)
    client.shutdown(socket.SHUT_WR)
    assert len(broker.read(client, 30)) == 20 * 64
    assert client.recv(1) == b""
    assert not broker.server.clients


def test_who_leaves_while_it_waits_is_forgotten(slow: Broker) -> None:
    client, other = slow.connect(), slow.connect()
    client.send(b"\x02\xff" * 10)
    slow.turn(5)
    client.close()
    slow.turn(2)
    assert len(slow.server.clients) == 1
    assert slow.server.tree.classes["gold"].waiting == 0
    assert slow.listener.clients == 1
    other.send(b"\x04")
    assert slow.read(other)


def test_too_many_clients_are_refused_and_the_others_served(tmp_path: Path) -> None:
    broker = Broker(tmp_path, clients=5)
    try:
        clients = [broker.connect() for dummy in range(8)]
        broker.turn(3)
        assert broker.gates.refused == 3
        assert [client.recv(1) for client in clients[5:]] == [b""] * 3
        clients[0].send(QEMU)
        assert len(broker.read(clients[0])) == 64
        clients[1].close()
        broker.turn()
        again = broker.connect()
        again.send(QEMU)
        assert len(broker.read(again)) == 64
    finally:
        broker.close()


def test_waiting_costs_no_turns(slow: Broker) -> None:
    """Nothing is ready while nobody may go on: the loop sleeps, and does not spin."""
    client = slow.connect()
    client.send(b"\x02\xff" * 10)
    slow.turn(5)
    epoll = slow.server._epoll
    assert epoll.poll(0) == []
    assert slow.server._delay > 1


def test_an_answer_at_once_leaves_nothing_before_the_next(broker: Broker) -> None:
    client = broker.connect()
    client.send(b"\x01\x05")
    assert len(broker.read(client)) == 6
    client.send(QEMU)
    assert len(broker.read(client)) == 64


def test_bytes_that_reached_nobody_are_for_others(tmp_path: Path) -> None:
    """A client whose connection cannot be written to any more still asks; the source has bytes for one other only."""
    broker = Broker(tmp_path)
    try:
        deaf, other = broker.connect(), broker.connect()
        deaf.shutdown(socket.SHUT_RD)
        broker.server.pool = Dry(64)  # type: ignore[assignment]
        deaf.send(QEMU)
        other.send(QEMU)
        assert len(broker.read(other)) == 64
        assert len(broker.server.clients) == 1
    finally:
        broker.server.pool = broker.pool
        broker.close()


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


def test_a_long_pipeline_does_not_keep_others_from_being_looked_at(broker: Broker) -> None:
    greedy = [broker.connect() for dummy in range(20)]
    for client in greedy:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.send(b"\x02\x01" * 20_000)
        client.setblocking(True)
    before = broker.server.tree.classes["gold"].requests
    broker.turn()
    first = broker.server.tree.classes["gold"].requests - before
    assert 0 < first <= server_module.MOST + len(greedy)


def test_who_stops_sending_in_the_middle_of_a_command_is_closed(broker: Broker) -> None:
    client = broker.connect()
    client.send(QEMU + b"\x02")
    client.shutdown(socket.SHUT_WR)
    assert len(broker.read(client)) == 64
    assert is_closed(client)


def test_an_event_of_a_former_descriptor_is_not_a_new_clients(broker: Broker) -> None:
    """Something makes room for a new client in the pass in which what was there has hung up."""
    first, first_peer = socket.socketpair()
    former, former_peer = socket.socketpair()
    ours, client = socket.socketpair()
    number = former.fileno()

    def make_room() -> None:
        broker.server.unwatch(first.fileno())
        broker.server.unwatch(number)
        former.close()
        os.dup2(ours.detach(), number)
        broker.server.adopt(socket.socket(fileno=number), broker.listener, Peer("web1"))

    with first, first_peer, client:
        broker.server.watch(first.fileno(), make_room)
        broker.server.watch(number, lambda: None)
        first_peer.send(b"x")  # told before the other
        former_peer.close()
        broker.turn()
        client.setblocking(False)
        client.send(QEMU)
        assert len(broker.read(client)) == 64


def answers(stream: bytes) -> tuple[int, bool]:
    """How many bytes a class without a limit answers a stream with, and whether the stream ends in nonsense."""
    at = size = 0
    pid = 1 + len(str(os.getpid()))
    while at < len(stream):
        kind, rest = stream[at], len(stream) - at
        if kind > 4:
            return size, True
        length = {0: 1, 1: 2, 2: 2, 3: 4, 4: 1}[kind]
        if kind == 3 and rest >= 4:
            length += stream[at + 3]
        if rest < length:
            break
        size += {0: 4, 1: 1 + stream[at + 1] if rest > 1 else 0, 2: stream[at + 1] if rest > 1 else 0, 3: 0, 4: pid}[
            kind
        ]
        at += length
    return size, False


HOSTILE = st.lists(
    st.one_of(
        st.binary(max_size=600),
        st.lists(st.sampled_from([b"\x00", b"\x01\x11", QEMU, b"\x03\x00\x08\x01x", b"\x04"]), max_size=200).map(
            b"".join
        ),
    ),
    max_size=6,
)


class Fuzzed:
    """One server for all examples, and how many bytes it was sent."""

    def __init__(self, directory: Path) -> None:
        self.broker = Broker(directory)
        self.sent = 0

    def talk(self, client: socket.socket, stream: bytes) -> int:
        """Send all of it in pieces, and count the bytes of the answers; the server may end it."""
        got = at = 0
        try:
            while at < len(stream):
                at += client.send(stream[at : at + 333])
                got += len(self.broker.read(client, 2))
            while answer := self.broker.read(client, CHEAP):
                got += len(answer)
        except (BrokenPipeError, ConnectionResetError):  # with no answer unread
            pass
        self.sent += at
        return got


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    made = Fuzzed(tmp_path_factory.mktemp("fuzzed"))
    yield made
    made.broker.close()
    assert made.sent > 10**6, "that many bytes of hostile input are the least"


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(HOSTILE, st.randoms(use_true_random=True), st.booleans())
def test_hostile_input_is_answered_exactly_and_harms_nobody(
    fuzzed: Fuzzed, pieces: list[bytes], noise: random.Random, leaves: bool
) -> None:
    broker = fuzzed.broker
    hostile, noisy, other = (broker.connect() for dummy in range(3))
    size, nonsense = answers(b"".join(pieces))
    assert fuzzed.talk(hostile, b"".join(pieces)) == size
    assert len(broker.server.clients) == 3 - nonsense
    fuzzed.talk(noisy, bytes(noise.choices(range(5), k=6000)))
    if leaves:
        noisy.close()
    other.send(QEMU)
    assert len(broker.read(other, 40)) == 64
    for client in (hostile, noisy, other):
        client.close()
    broker.turn(3)
    assert not broker.server.clients
