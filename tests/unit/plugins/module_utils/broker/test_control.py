# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's side of the control socket, on real sockets: who may ask what, and who cannot hold it up."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import control
from ansible_collections.fleet.rng.plugins.module_utils.broker.control import Command, Connection
from ansible_collections.fleet.rng.plugins.module_utils.broker.peer import Peer
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.control_loop import Loop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SOMEBODY = Peer("pid 1", 1, os.geteuid() + 1, 1)
LARGE = "x" * 3_000_000


def fail(dummy_connection: Connection) -> None:
    raise RngError("classes: \x1b[2J is no class")


def fault(dummy_connection: Connection) -> None:
    raise KeyError("oops")


@pytest.fixture
def kept() -> list[Connection]:
    return []


@pytest.fixture
def loop(tmp_path: Path, kept: list[Connection]) -> Iterator[Loop]:
    made = Loop(
        tmp_path / "control.sock",
        {
            "status": Command(lambda connection: {"status": {"clients": 3}}),
            "large": Command(lambda connection: {"text": LARGE}),
            "reload": Command(lambda connection: {}, privileged=True),
            "fail": Command(fail),
            "fault": Command(fault),
            "later": Command(kept.append),
        },
    )
    yield made
    made.close()


def test_a_request_and_its_answer(loop: Loop) -> None:
    assert loop.ask({"command": "status"}) == {"ok": True, "status": {"clients": 3}}
    assert loop.ask({"command": "reload"}) == {"ok": True}


def test_a_request_in_pieces_and_what_comes_after_it(loop: Loop) -> None:
    with loop.connect() as client:
        for piece in (b'{"comm', b'and": "sta', b'tus"}', b"\nand more"):
            assert loop.read(client) == b""
            client.sendall(piece)
        assert json.loads(loop.read(client)) == {"ok": True, "status": {"clients": 3}}
    assert len(loop.control) == 0


@pytest.mark.parametrize(
    "request_",
    [b"\n", b"{}\n", b"[]\n", b'"status"\n', b'{"command": 5}\n', b"\xff\n", b"[" * 4000 + b"\n", b"\0" * 4000 + b"\n"],
)
def test_what_is_no_request(loop: Loop, request_: bytes) -> None:
    answer = loop.ask(request_)
    assert answer == {"ok": False, "error": 'a request is a line with a JSON object: {"command": "status"}'}


def test_errors_are_answers(loop: Loop) -> None:
    assert loop.ask({"command": "fail"}) == {"ok": False, "error": "classes: \\x1b[2J is no class"}
    assert loop.ask({"command": "fault"}) == {"ok": False, "error": "a fault of this program: KeyError: 'oops'"}
    unknown = loop.ask({"command": "x\n" * 100})
    assert unknown["error"].startswith("unknown command 'x\\\\x0ax")
    assert unknown["error"].endswith("there are: status, large, reload, fail, fault, later")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_request_is_refused(loop: Loop, end: bytes) -> None:
    assert loop.ask(b"x" * 5000 + end) == {"ok": False, "error": "a request is at most 4096 bytes long"}


def test_one_that_leaves_is_forgotten(loop: Loop) -> None:
    loop.connect().close()
    loop.connect(b'{"command"').close()
    loop.connect(b'{"command": "large"}\n').close()
    loop.turn()
    assert len(loop.control) == 0


def test_one_that_sends_no_more_is_answered(loop: Loop) -> None:
    with loop.connect(b'{"command": "status"}\n') as client:
        client.shutdown(socket.SHUT_WR)
        assert json.loads(loop.read(client))["ok"] is True


def test_a_large_answer_is_sent_in_pieces(loop: Loop) -> None:
    with loop.connect(b'{"command": "large"}\n') as client:
        assert loop.turn() < 20  # it rests when the other end does not read
        assert len(loop.control) == 1
        with loop.connect(b'{"command": "status"}\n') as other:
            assert json.loads(loop.read(other))["ok"] is True
        assert json.loads(loop.read(client)) == {"ok": True, "text": LARGE}
    assert len(loop.control) == 0


@pytest.mark.parametrize("sends", [b"", b'{"command"', b'{"command": "large"}\n'])
def test_nobody_stays_long(loop: Loop, sends: bytes) -> None:
    with loop.connect(sends) as client:
        loop.turn()
        loop.now += control.LIFETIME - 1
        loop.control.sweep()
        assert len(loop.control) == 1
        loop.now += 1
        loop.control.sweep()
        assert len(loop.control) == 0
        assert not loop.read(client).endswith(b"}\n")


def test_an_answer_may_come_later(loop: Loop, kept: list[Connection]) -> None:
    with loop.connect(b'{"command": "later"}\n') as client:
        assert loop.read(client) == b""
        loop.now += control.LIFETIME + 1
        loop.control.sweep()
        client.sendall(b'{"command": "status"}\n')  # is not read before the answer to the first
        assert loop.read(client) == b""
        kept[0].answer({"restarts": 1}, more=True)
        assert json.loads(loop.read(client)) == {"ok": True, "restarts": 1}
        assert not kept[0].closed
        kept[0].refuse("the new program does not start")
        assert json.loads(loop.read(client)) == {"ok": False, "error": "the new program does not start"}
        assert kept[0].closed


def test_an_answer_that_never_comes(loop: Loop, kept: list[Connection]) -> None:
    with loop.connect(b'{"command": "later"}\n') as client:
        loop.turn()
        loop.now += control.PATIENCE
        loop.control.sweep()
        assert json.loads(loop.read(client)) == {"ok": False, "error": "no answer in time"}
    kept[0].answer({})
    assert kept[0].closed


def test_one_that_does_not_wait_for_its_answer(loop: Loop, kept: list[Connection]) -> None:
    loop.connect(b'{"command": "later"}\n').close()
    loop.turn()
    assert len(loop.control) == 0
    kept[0].answer({"restarts": 1})
    assert loop.ask({"command": "status"})["ok"] is True


def test_only_root_and_the_daemons_own_user_may_change_something(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "peer_of", lambda sock: SOMEBODY)
    answer = loop.ask({"command": "reload"})
    assert answer["error"] == f"reload is for root and the daemon's own user only, and you are user {SOMEBODY.uid}"
    assert loop.ask({"command": "status"})["ok"] is True
    monkeypatch.setattr(control, "peer_of", lambda sock: Peer("pid 1", 1, 0, 0))
    assert loop.ask({"command": "reload"})["ok"] is True


def test_there_are_few_connections_and_root_gets_in(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as stack:
        with monkeypatch.context() as patch:
            patch.setattr(control, "peer_of", lambda sock: SOMEBODY)
            idle = [stack.enter_context(loop.connect()) for dummy in range(control.MOST_CONNECTIONS)]
            loop.turn()
            with loop.connect(b'{"command": "status"}\n') as client:
                assert json.loads(loop.read(client)) == {
                    "ok": False,
                    "error": "too many control connections; try again",
                }
            assert len(loop.control) == control.MOST_CONNECTIONS
        with loop.connect(b'{"command": "status"}\n') as client:
            assert json.loads(loop.read(client))["ok"] is True
        assert idle[0].recv(1) == b""  # the oldest had to go
        assert len(loop.control) == control.MOST_CONNECTIONS - 1


def test_even_root_has_a_limit(loop: Loop) -> None:
    with contextlib.ExitStack() as stack:
        for dummy in range(control.MOST_CONNECTIONS):
            stack.enter_context(loop.connect())
        with loop.connect(b'{"command": "status"}\n') as client:
            assert json.loads(loop.read(client))["ok"] is False
        assert len(loop.control) == control.MOST_CONNECTIONS


def test_without_descriptors_it_waits_for_the_next_sweep(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def accept(self) -> None:
            raise OSError(24, "Too many open files")

        def fileno(self) -> int:
            return loop.listener.fileno()

    with loop.connect(b'{"command": "status"}\n') as client:
        with monkeypatch.context() as patch:
            patch.setattr(loop.control, "_listener", Exhausted())
            assert loop.turn() == 1
        assert loop.read(client) == b""
        loop.control.sweep()
        assert json.loads(loop.read(client))["ok"] is True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=5000), max_size=4))
def test_any_bytes_are_answered_once_and_forgotten(loop: Loop, pieces: list[bytes]) -> None:
    found = b""
    with loop.connect() as client:
        for piece in pieces:
            with contextlib.suppress(BrokenPipeError):
                client.sendall(piece)
            found += loop.read(client)
    loop.turn()
    assert len(loop.control) == 0
    sent = b"".join(pieces)
    assert found.count(b"\n") == (b"\n" in sent or len(sent) > control.MOST_REQUEST)
    assert b'"ok":true' not in found
