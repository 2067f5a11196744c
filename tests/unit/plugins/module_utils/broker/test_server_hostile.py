# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that want to harm, or do not know what they do: others are served, and nothing grows without a limit."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import server as server_module
from ansible_collections.fleet.rng.plugins.module_utils.broker.gates import SEND_BUFFER
from ansible_collections.fleet.rng.plugins.module_utils.broker.peer import Peer
from ansible_collections.fleet.rng.plugins.module_utils.broker.server import CHEAP
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.serving import QEMU, Broker, is_closed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.close()


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
    assert len(broker.ask(other)) == 64
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
        assert len(broker.ask(client)) == 64


def test_who_says_nonsense_is_closed(broker: Broker) -> None:
    client, other = broker.connect(), broker.connect()
    client.send(QEMU + b"\x05" + QEMU)
    assert len(broker.read(client)) == 64
    assert is_closed(client)
    assert broker.server.protocol_errors == 1
    assert len(broker.ask(other)) == 64


def test_too_many_clients_are_refused_and_the_others_served(tmp_path: Path) -> None:
    broker = Broker(tmp_path, clients=5)
    try:
        clients = [broker.connect() for dummy in range(8)]
        broker.turn(3)
        assert broker.gates.refused == 3
        assert [client.recv(1) for client in clients[5:]] == [b""] * 3
        assert len(broker.ask(clients[0])) == 64
        clients[1].close()
        broker.turn()
        assert len(broker.ask(broker.connect())) == 64
    finally:
        broker.close()


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
        assert len(broker.ask(client)) == 64


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
