# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QMP client against servers that are well, busy, slow, or something else altogether."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport import qmp
from ansible_collections.fleet.rng.plugins.module_utils.transport.qmp import BusyError, GoneError, Monitor
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_qemu import GREETING

HELLO = json.dumps(GREETING).encode() + b"\r\n"
CAPABLE = b'{"return": {}, "id": "fleet.rng-1"}\r\n'
NAME = '{"execute": "query-name"}'
Serve = Callable[..., str]


@pytest.fixture
def serve(serve: Serve) -> Serve:
    """QEMU speaks first."""
    return partial(serve, greets=True)


def test_it_negotiates_and_asks(serve: Serve) -> None:
    path = serve(HELLO, CAPABLE, b'{"return": {"name": "a"}, "id": "fleet.rng-2"}\r\n')
    with Monitor(path) as monitor:
        assert monitor.version == (7, 2, 22)
        assert monitor.peer == (os.getpid(), os.geteuid(), os.getegid())
        assert json.loads(monitor.ask(NAME)) == {"return": {"name": "a"}}


def test_events_and_late_answers_come_in_between(serve: Serve) -> None:
    between = b'{"event": "STOP"}\r\n{"return": "late", "id": "fleet.rng-0"}\r\n{"event": "DEVICE_DELETED"}\r\n'
    path = serve(HELLO, b'{"event": "RESUME"}\r\n' + CAPABLE, between + b'{"return": 7, "id": "fleet.rng-2"}\r\n')
    with Monitor(path) as monitor:
        assert json.loads(monitor.ask(NAME)) == {"return": 7}
        assert monitor.wait_event("DEVICE_DELETED", 0)
        assert not monitor.wait_event("DEVICE_DELETED", 0.01)


def test_an_event_that_comes_later(serve: Serve) -> None:
    with Monitor(serve(HELLO, CAPABLE + b'{"event": "STOP"}\r\n{"event": "DEVICE_DELETED"}\r\n')) as monitor:
        assert monitor.wait_event("DEVICE_DELETED", 30)


def test_refusals_are_answers(serve: Serve) -> None:
    refusal = b'{"error": {"class": "GenericError", "desc": "no"}, "id": "fleet.rng-2"}\r\n'
    with Monitor(serve(HELLO, CAPABLE, refusal)) as monitor:
        assert json.loads(monitor.ask(NAME))["error"]["desc"] == "no"


def test_a_pretty_monitor(serve: Serve) -> None:
    pretty = json.dumps(GREETING, indent=4).replace("\n", "\r\n").encode() + b"\r\n"
    capable = b'{\r\n    "id": "fleet.rng-1",\r\n    "return": {\r\n    }\r\n}\r\n'
    with Monitor(serve(pretty, capable, b'\r\n{\r\n    "return": 7,\r\n    "id": "fleet.rng-2"\r\n}\r\n')) as monitor:
        assert json.loads(monitor.ask(NAME)) == {"return": 7}


def test_in_use(serve: Serve) -> None:
    with pytest.raises(BusyError, match="another client is connected to this monitor"):
        Monitor(serve(), seconds=0.05)


def test_in_use_and_others_wait(tmp_path: Path) -> None:
    path = str(tmp_path / "qmp")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = []
        try:
            for dummy in range(3):
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                try:
                    waiting[-1].connect(path)
                except BlockingIOError:
                    break
            with pytest.raises(BusyError):
                Monitor(path, seconds=0.05)
            with pytest.raises(BusyError):
                qmp.peer_of(path)
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ", "is no QMP monitor: it sends QEMU 7"),
        (b"\x1b[2J\x00\xff\r\n", r"it sends \\x1b\[2J\\x00\\ufffd|it sends \\x1b\[2J\\x00"),
        (b"[1]\r\n", "is no QMP monitor"),
        (b"[" * 200000 + b"\r\n", "is no QMP monitor"),
        (b'{"a": ' + b"1" * 30 + b"}\r\n", "is no QMP monitor"),
        (b'{"hello": 1}\r\n', "greets unlike QEMU"),
        (b'{"QMP": {"version": {"qemu": {"major": "x", "minor": 1, "micro": 1}}}}\r\n', "greets unlike QEMU"),
        (b"no end of a line", "is no QMP monitor: it sends no end"),
    ],
)
def test_something_else_listens(said: bytes, message: str, serve: Serve) -> None:
    with pytest.raises(GuestError, match=message):
        Monitor(serve(said), seconds=5)


def test_it_ends_meanwhile(serve: Serve) -> None:
    with pytest.raises(GoneError, match="ended or closed"):
        Monitor(serve(HELLO, end=True))


def test_it_ends_after_a_command(serve: Serve) -> None:
    monitor = Monitor(serve(HELLO, CAPABLE, b'{"return"', end=True))
    with monitor, pytest.raises(GoneError):
        monitor.ask(NAME)


def test_it_hangs(serve: Serve) -> None:
    with Monitor(serve(HELLO, CAPABLE)) as monitor, pytest.raises(TimedOutError, match="the outcome is unknown"):
        monitor.ask(NAME, 0.05)


def test_too_much(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "MESSAGE_LIMIT", 100000)
    path = serve(HELLO, CAPABLE, b'{"return": "' + b"x" * 1000000)
    with Monitor(path) as monitor, pytest.raises(GuestError, match="more than 100000 bytes"):
        monitor.ask(NAME)


def test_too_many(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "_MAX_SKIPPED", 10)
    path = serve(HELLO, CAPABLE, b'{"event": "STOP"}\r\n' * 11)
    with Monitor(path) as monitor, pytest.raises(GuestError, match="10 messages and no answer"):
        monitor.ask(NAME)


@pytest.mark.parametrize("path", ["missing", "x" * 200, "a\0b"])
def test_nobody_is_there(path: str, tmp_path: Path) -> None:
    for attempt in (Monitor, qmp.peer_of):
        with pytest.raises(GoneError, match="nobody answers there"):
            attempt(str(tmp_path / path))
    assert not qmp.is_socket(str(tmp_path / path))


def test_the_first_that_serves(serve: Serve, tmp_path: Path) -> None:
    path = serve(HELLO, CAPABLE)
    assert qmp.is_socket(path)
    with qmp.connect_in_turn((str(tmp_path / "missing"), path)) as monitor:
        assert monitor.path == path
    with pytest.raises(GoneError, match="has no QMP socket"):
        qmp.connect_in_turn(())


def test_of_several_the_one_in_use_is_named(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(BusyError):
        qmp.connect_in_turn((serve(), str(tmp_path / "missing")), seconds=0.05)
