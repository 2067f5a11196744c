# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes from sources, each drawn by a process of its own, side by side, within limits of time and of bytes.

Nobody knows beforehand whether a read comes back. So what may block is done by a child that can be killed: looking at
the path, opening it, reading. A child that hangs in the kernel cannot be killed either; it is left behind with nothing
of ours, and said so. What the children find lies in memory that is shared with them, so that nothing is lost with one.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import socket
import struct
import time
from typing import Callable, List, Optional, Sequence

from ..device import Source
from ..errors import MissingSourceError, UnsafeSourceError
from ..kernel.measure import Limits
from ..kernel.sources import CANNOT_READ, COMPLETE, END_OF_FILE, ERROR, HANGS, MISSING, TIME_UP, UNSAFE, Drawn
from .source import check_openable

SAMPLE = 1024 * 1024  # bytes that are kept for the health tests
LOOKING = 2.0  # seconds for what comes before the first read
GRACE = 2.0  # seconds for a killed reader to be gone

_MARGIN = 0.1  # seconds in which a reader ends by itself when the time is up
_POLL = 0.01
_ORPHAN = 10  # seconds after which a reader ends that nobody watches any more

# A device such as /dev/hwrng answers a read when all of it is there, and what it has of an unfinished one is lost.
_LEAST, _MOST = 64, 1024
_QUICK = 0.01  # seconds: then the next read may be larger

_HEAD = struct.Struct("=BdQdd")  # how it ended; when it began; bytes; seconds until the last of them, and in all
_TEXT = 512
_BYTES_AT = _HEAD.size + 2 + _TEXT
_RUNNING = 0
_OUTCOMES = (TIME_UP, COMPLETE, END_OF_FILE, UNSAFE, MISSING, ERROR)

_Read = Callable[[int], bytes]


def draw_all(sources: Sequence[Source], limits: Limits) -> List[Drawn]:
    """What came of each of them, in their order, after the seconds of the limits and a few more at most."""
    readers = [_Reader(source, limits) for source in sources]
    waiting = readers
    while waiting:
        time.sleep(_POLL)
        waiting = [reader for reader in waiting if not reader.is_done()]
    return [reader.drawn() for reader in readers]


class _Board:
    """What a reader and its parent share; the reader writes, and the parent reads when it has ended or is given up."""

    def __init__(self, sample: int) -> None:
        self._memory = mmap.mmap(-1, _BYTES_AT + sample)
        self._room = sample
        self.code, self.begun, self.count, self.last, self.seconds = _RUNNING, 0.0, 0, 0.0, 0.0

    def _write(self) -> None:
        self._memory[: _HEAD.size] = _HEAD.pack(self.code, self.begun, self.count, self.last, self.seconds)

    def begin(self) -> None:
        self.begun = time.monotonic()
        self._write()

    def add(self, data: bytes) -> None:
        part = data[: max(0, self._room - self.count)]
        at = _BYTES_AT + self.count
        self._memory[at : at + len(part)] = part
        self.count += len(data)
        self.last = self.seconds = time.monotonic() - self.begun
        self._write()

    def end(self, outcome: str, why: str = "") -> None:
        text = why.encode("utf-8", "replace")[:_TEXT]
        self._memory[_HEAD.size : _HEAD.size + 2] = struct.pack("=H", len(text))
        self._memory[_HEAD.size + 2 : _HEAD.size + 2 + len(text)] = text
        self.seconds = time.monotonic() - self.begun if self.begun else 0.0
        self.code = 1 + _OUTCOMES.index(outcome)
        self._write()

    def read(self) -> None:
        self.code, self.begun, self.count, self.last, self.seconds = _HEAD.unpack(self._memory[: _HEAD.size])

    @property
    def outcome(self) -> Optional[str]:
        return _OUTCOMES[self.code - 1] if self.code else None

    @property
    def why(self) -> str:
        (length,) = struct.unpack("=H", self._memory[_HEAD.size : _HEAD.size + 2])
        return self._memory[_HEAD.size + 2 : _HEAD.size + 2 + length].decode("utf-8", "replace")

    @property
    def sample(self) -> bytes:
        return self._memory[_BYTES_AT : _BYTES_AT + min(self.count, self._room)]


class _Reader:
    """A child that draws from one source, and what its parent knows of it."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._limits = limits
        self._board = _Board(min(limits.count, SAMPLE))
        self._killed: Optional[float] = None
        self._left = False
        self._due = time.monotonic() + limits.seconds + LOOKING
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _stand_alone(limits)
                _draw(source, limits, self._board)
            finally:  # whatever happens: a second module must not go on from here
                os._exit(0)

    def is_done(self) -> bool:
        """Whether nothing more is to be expected; a reader whose time is up is killed meanwhile."""
        if self._has_ended():
            return True
        self._board.read()
        now = time.monotonic()
        due = self._board.begun + self._limits.seconds + _MARGIN if self._board.begun else self._due
        if self._killed is None and now >= due:
            os.kill(self.pid, signal.SIGKILL)
            self._killed = now
        self._left = self._killed is not None and now >= self._killed + GRACE
        return self._left

    def _has_ended(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        except ChildProcessError:  # who started us ignores its children, and so do we
            return True

    def drawn(self) -> Drawn:
        board = self._board
        board.read()
        outcome, why = board.outcome, board.why
        if self._left and outcome is None:
            doing = "reading it" if board.begun else "looking at it"
            outcome, why = HANGS, f"{doing} hangs in the kernel, and cannot be ended (process {self.pid})"
        elif outcome is None and self._killed is None:
            outcome, why = ERROR, "the reader ended by itself: a fault of this collection"
        elif outcome is None:
            why = "" if board.begun else f"no end of looking at it within {self._limits.seconds + LOOKING:g} s"
        seconds = float(self._limits.seconds) if board.outcome is None and board.begun else board.seconds
        return Drawn(outcome or TIME_UP, why, board.count, seconds, board.last, board.sample)


def _stand_alone(limits: Limits) -> None:
    """Nothing of the parent's is kept: who waits for the end of its output would wait for a child that hangs."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limits.seconds + _ORPHAN)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.closerange(3, 1024)


def _draw(source: Source, limits: Limits, board: _Board) -> None:
    if source.kind == "egd" and source.transport == "udp":
        return board.end(ERROR, "a source over UDP cannot be tested")
    try:
        if source.kind == "random":
            check_openable(source.path)
        board.begin()
        board.end(_read_all(_opened(source), limits, board))
    except UnsafeSourceError as error:
        board.end(MISSING if isinstance(error, MissingSourceError) else UNSAFE, _without_name(source, error))
    except OSError as error:
        said = os.strerror(error.errno) if error.errno else str(error)
        gone = source.kind == "egd" and error.errno == errno.ENOENT
        board.end(MISSING if gone else ERROR, CANNOT_READ + said)
    except UnicodeError:  # a label of a host name is empty or too long
        board.end(ERROR, "is no valid host name")


def _without_name(source: Source, error: UnsafeSourceError) -> str:
    text, name = str(error), f"source {source}: "
    return text[len(name) :] if text.startswith(name) else text


def _read_all(read: _Read, limits: Limits, board: _Board) -> str:
    size = _LEAST
    while board.count < limits.count:
        before = time.monotonic()
        if before - board.begun >= limits.seconds:
            return TIME_UP
        data = read(min(size, limits.count - board.count))
        if not data:
            return END_OF_FILE
        board.add(data)
        size = min(2 * size, _MOST) if time.monotonic() - before < _QUICK else _LEAST
    return COMPLETE


def _opened(source: Source) -> _Read:
    """A function that reads up to so many bytes from the source, nothing at its end, and blocks as long as it likes."""
    if source.kind == "builtin":
        return os.getrandom
    if source.kind == "egd":
        return _egd(source)
    # Opening some devices waits for somebody on the other side, unless one says not to wait.
    descriptor = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    return lambda size: os.read(descriptor, size)


def _egd(source: Source) -> _Read:
    if source.transport == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(source.path)
    else:
        connection = socket.create_connection((source.host, source.port))

    def read(size: int) -> bytes:
        """As QEMU asks: two for "block until they are there", and how many."""
        connection.sendall(bytes((2, min(size, 255))))
        return connection.recv(min(size, 255), socket.MSG_WAITALL)

    return read
