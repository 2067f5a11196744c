# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop with real sockets: exact answers, whatever clients send, and however they send it."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import server as server_module
from ansible_collections.fleet.rng.plugins.module_utils.broker.server import CHEAP, PEEK
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.serving import QEMU, Broker, Dry


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
    assert len(broker.ask(client)) == 64


def test_bytes_that_reached_nobody_are_for_others(tmp_path: Path) -> None:
    """A client whose connection cannot be written to any more still asks; the source has bytes for one other only."""
    broker = Broker(tmp_path)
    try:
        deaf, other = broker.connect(), broker.connect()
        deaf.shutdown(socket.SHUT_RD)
        broker.server.pool = Dry(64)  # type: ignore[assignment]
        deaf.send(QEMU)
        assert len(broker.ask(other)) == 64
        assert len(broker.server.clients) == 1
    finally:
        broker.server.pool = broker.pool
        broker.close()
