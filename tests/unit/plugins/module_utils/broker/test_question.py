# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to real sockets: those that answer, and those that do not."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import question
from ansible_collections.fleet.rng.plugins.module_utils.broker.question import Question, UnansweredError, ask, ask_again
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.control_loop import answering


def test_an_answer(tmp_path: Path) -> None:
    large = "x" * 2_000_000
    with answering(tmp_path / "s", {"status": lambda connection: {"text": large}}):
        assert ask(str(tmp_path / "s"), "status") == {"ok": True, "text": large}
        with pytest.raises(RngError, match="unknown command 'boo'; there are: status"):
            ask(str(tmp_path / "s"), "boo")


def test_several_answers(tmp_path: Path) -> None:
    def twice(connection: question.Any) -> None:
        connection.answer({"number": 1}, more=True)
        connection.answer({"number": 2})

    with answering(tmp_path / "s", {"twice": twice}), Question(str(tmp_path / "s"), "twice") as asked:
        assert asked.answer() == {"ok": True, "number": 1}
        assert asked.answer() == {"ok": True, "number": 2}
        assert asked.answer() is None


@pytest.fixture
def listener(tmp_path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(tmp_path / "s"))
    return made


def test_where_nobody_is(tmp_path: Path, listener: socket.socket) -> None:
    path = tmp_path / "s"
    with listener, pytest.raises(RngError, match="and nobody listens; is virtrngd running"):
        ask(str(path), "status")
    path.unlink()
    with pytest.raises(RngError, match=f"nobody answers at {path}: there is no such socket; is virtrngd running"):
        ask(str(path), "status")
    path.touch()
    with pytest.raises(RngError, match="nobody listens"):
        ask(str(path), "status")
    with pytest.raises(RngError, match=r"nobody answers at /xxx.*: AF_UNIX path too long"):
        ask("/" + "x" * 200, "status")


def test_who_may(tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "s")

    def refuse(*dummy: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with listener:
        for mode, end in ((0o660, r"root may, and so may group \w+$"), (0o600, "root may$"), (None, "root may$")):
            if mode is None:
                os.unlink(path)  # noqa: PTH108 - a socket's path
            else:
                os.chmod(path, mode)  # noqa: PTH101
            with pytest.raises(RngError, match=f"user [^ ]+ may not connect; {end}"):
                ask(path, "status")


def test_one_that_says_nothing(tmp_path: Path, listener: socket.socket) -> None:
    listener.listen()
    with listener, pytest.raises(RngError, match=r"does not answer at .* within 0.05 seconds; does it hang"):
        ask(str(tmp_path / "s"), "status", 0.05)


def test_one_that_takes_no_connection(tmp_path: Path, listener: socket.socket) -> None:
    listener.listen(0)
    with listener, socket.socket(socket.AF_UNIX) as first:
        first.connect(str(tmp_path / "s"))
        with pytest.raises(RngError, match="does not take the connection; does it hang"):
            ask(str(tmp_path / "s"), "status", 0.05)


class Replaced:
    """What a daemon that is being replaced does with those who ask: it closes some, and answers the next."""

    def __init__(self, listener: socket.socket, closes: int) -> None:
        self.asked = 0
        self._listener = listener
        self._closes = closes
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self.asked <= self._closes:
            connection = self._listener.accept()[0]
            with connection:
                self.asked += 1
                if self.asked % 2:
                    connection.recv(100)  # else it is reset
                if self.asked > self._closes:
                    connection.sendall(b'{"ok": true, "asked": 1}\n')

    def join(self) -> None:
        self._thread.join()


def test_one_that_is_replaced_is_asked_again(tmp_path: Path, listener: socket.socket) -> None:
    listener.listen()
    with listener:
        replaced = Replaced(listener, 4)
        assert ask_again(str(tmp_path / "s"), "status") == {"ok": True, "asked": 1}
        replaced.join()
    assert replaced.asked == 5


@pytest.mark.parametrize("there", [True, False], ids=["refused", "no socket"])
def test_one_that_is_not_back_yet_is_asked_again(
    tmp_path: Path, listener: socket.socket, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hidden = tmp_path / "s", tmp_path / "hidden"
    if not there:
        path.rename(hidden)
    pauses: list[float] = []
    back: list[Replaced] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            listener.listen()
            back.append(Replaced(listener, 0))
            if not there:
                hidden.rename(path)

    monkeypatch.setattr(question.time, "sleep", pause)
    monkeypatch.setattr(question, "ABSENT", 60.0)  # a busy machine may take long for nothing
    with listener:
        assert ask_again(str(path), "status") == {"ok": True, "asked": 1}
        back[0].join()
    assert len(pauses) == 3


class Clock:
    """Time that passes only in pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(question.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(question.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("ended", "least", "most"), [([False], 0.9, 1.5), ([True], 9.5, 10.5), ([True, False], 9.5, 10.5)]
)
def test_nobody_is_asked_for_ever(
    ended: list[bool], least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answered nothing was there, and may come back; one that never was there is not waited for so long."""
    clock = Clock(monkeypatch)
    fates = iter(ended)
    errors: list[UnansweredError] = []

    def silent(*dummy: object) -> None:
        errors.append(UnansweredError(f"look {len(errors)}", next(fates, ended[-1])))
        raise errors[-1]

    monkeypatch.setattr(question, "ask", silent)
    with pytest.raises(UnansweredError) as caught:
        ask_again("/s", "status")
    assert caught.value is errors[-1], "what is the matter now, and not what was at first"
    assert least <= clock.now - 1000 <= most


def test_who_says_no_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dummy: float) -> None:
        raise AssertionError("there is nothing to wait for")

    monkeypatch.setattr(question.time, "sleep", fail)
    with answering(tmp_path / "s", {"status": lambda connection: {}}), pytest.raises(RngError, match="unknown command"):
        ask_again(str(tmp_path / "s"), "boo")
    with pytest.raises(RngError, match="AF_UNIX path too long"):
        ask_again("/" + "x" * 200, "status")


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (b"", "virtrngd ended without an answer"),
        (b'{"ok": true', "virtrngd ended without an answer"),
        (b"SSH-2.0-OpenSSH\n", "is no virtrngd"),
        (b"\xff\n", "is no virtrngd"),
        (b"[" * 100000 + b"\n", "is no virtrngd"),
        (b'{"ok": 1}\n', "is no virtrngd"),
        (b'{"ok": false, "error": "\\u001b[2J"}\n', r"^\\x1b\[2J$"),
        (b'{"ok": false}\n', "does not say why"),
        (b"x" * 5000, "virtrngd ended without an answer"),
    ],
)
def test_strange_answers(
    tmp_path: Path, listener: socket.socket, says: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question, "MOST_ANSWER", 4000 if says.startswith(b"xx") else 200_000)
    listener.listen()

    def answer() -> None:
        connection = listener.accept()[0]
        with connection:
            connection.recv(100)
            connection.sendall(says)

    thread = threading.Thread(target=answer)
    thread.start()
    with listener, pytest.raises(RngError, match=message):
        ask(str(tmp_path / "s"), "status")
    thread.join()
