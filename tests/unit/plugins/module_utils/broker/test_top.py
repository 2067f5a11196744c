# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live view on a real pseudo-terminal: what it shows, how it ends, and that it leaves the terminal as it was."""

from __future__ import annotations

import contextlib
import fcntl
import io
import itertools
import json
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import top
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.broker_document import made

PATIENCE = 60.0
PROGRAM = """
import itertools, json, sys
from ansible_collections.fleet.rng.plugins.module_utils.broker import top
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError

documents = iter(json.load(open(sys.argv[1])))
def look():
    found = next(documents)
    if isinstance(found, str):
        raise RngError(found)
    return found
top.watch(look, float(sys.argv[2]))
"""
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


class Terminal:
    """A program on a terminal of 80 by 24, which is its own."""

    def __init__(self, folder: Path, documents: list[Any], interval: float) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        (folder / "documents").write_text(json.dumps(documents), encoding="utf-8")
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder / "documents"), str(interval)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(sys.path),
                "TERM": "xterm",
                "LC_ALL": "C.UTF-8",
            },
        )
        self.seen = b""

    def read(self, until: bytes) -> bytes:
        """What it has shown, once that is among it."""
        end = time.monotonic() + PATIENCE
        while until not in self.seen:
            ready = select.select([self.master], [], [], max(end - time.monotonic(), 0))[0]
            assert ready, (self.child.poll(), self.seen)
            self.seen += os.read(self.master, 65536)
        return self.seen

    def press(self, key: bytes) -> None:
        """Press it, and again while nothing happens, as people do."""
        for dummy in range(int(PATIENCE)):
            os.write(self.master, key)
            if select.select([self.master], [], [], 1)[0]:
                return

    def ended(self) -> int:
        """Its exit code; it has to leave the terminal as it was."""
        self.read(LEAVE)
        code = self.child.wait(PATIENCE)
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def started(documents: list[Any], interval: float = 3600.0) -> Terminal:
            terminal = Terminal(tmp_path, documents, interval)
            stack.callback(terminal.close)
            return terminal

        yield started


def test_frames_on_a_screen_of_their_own(start: Any) -> None:
    terminal = start([made(100), made(101)])
    seen = terminal.read(b"left of its limit")
    assert seen.startswith(ENTER + b"\x1b[H")
    assert seen.count(b"\r\n") == 23
    first, dummy, dummy_rest = terminal.read(b"0.1.0").partition(b"left of its limit")
    assert b"web1" in first
    assert b"\x1b[1;7m" in first
    terminal.seen = b""
    assert b"64 B" in terminal.read(b"left of its limit")  # after a short while there are rates
    os.write(terminal.master, b"xq")
    assert terminal.ended() == 0


@pytest.mark.parametrize("key", [b"q", b"Q", b"\x04"])
def test_keys_end_it(start: Any, key: bytes) -> None:
    terminal = start([made(100), made(101)])
    terminal.read(b"left of its limit")
    terminal.press(key)
    assert terminal.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(start: Any, number: signal.Signals) -> None:
    terminal = start([made(100), made(101)])
    terminal.read(b"left of its limit")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    os.kill(terminal.child.pid, number)
    assert terminal.ended() == 0


def test_it_goes_on_when_the_daemon_comes_back(start: Any) -> None:
    terminal = start([made(100), made(101), "nobody answers at \x1b[2J", made(102), *[made(103)] * 1000], 0.05)
    terminal.read(b"nobody answers at \\x1b[2J")
    terminal.seen = b""
    terminal.read(b"left of its limit")
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0


def test_it_follows_the_size_of_the_terminal(start: Any) -> None:
    terminal = start([made(100 + number) for number in range(2000)], 0.05)
    terminal.read(b"left of its limit")
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
    end = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < end
        terminal.seen = b""
        terminal.read(b"\x1b[J\x1b[H")  # a frame and the next one's beginning
        frames = terminal.read(b"\x1b[J\x1b[H").split(b"\x1b[H")
        if any(frame.count(b"\r\n") == 9 and frame.endswith(b"\x1b[J") for frame in frames):
            break
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0


def test_a_daemon_that_is_not_there_needs_no_screen(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    def look() -> Any:
        raise RngError("nobody answers")

    with pytest.raises(RngError, match="nobody answers"):
        top.watch(look, 1.0)
    assert capsys.readouterr().out == ""


def test_once(capsys: pytest.CaptureFixture[str]) -> None:
    documents = iter([made(100), made(110)])
    top.watch(lambda: next(documents), 0.01, once=True)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("virtrngd 0.1.0") == 1
    assert "web1                    64 B gold" in shown


def test_what_is_no_terminal_gets_frame_after_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    documents = (made(100 + number) if number < 4 else None for number in itertools.count())

    def look() -> Any:
        found = next(documents)
        if found is None:
            raise RngError("nobody answers")
        return found

    with pytest.raises(RngError, match="nobody answers"):
        top.watch(look, 0.01)
    assert stream.getvalue().count("virtrngd 0.1.0") == 3
    assert stream.getvalue().count("web1                    64 B gold") == 3
