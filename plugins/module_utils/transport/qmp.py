# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor protocol over a UNIX socket: one command, one answer, events in between.

There is a library for it, qemu.qmp, but no enterprise distribution has it for the Python of its hosts, so that managed
hosts cannot be expected to have it. What is needed of the protocol is small.

QEMU serves one client per monitor. A second one can connect, and just gets no greeting.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import time
from collections import deque
from typing import Any, Deque, Dict, Optional, Tuple

from ..errors import GuestError, TimedOutError
from ..text import printable

GREETING_SECONDS = 3.0
ANSWER_SECONDS = 10.0
MESSAGE_LIMIT = 4 * 1024 * 1024  # bytes of one message
_EVENTS_KEPT = 256
_CHUNK = 65536
_MAX_SKIPPED = 10000  # messages that are no answer to us, while one is awaited


class GoneError(GuestError):
    """Nobody is there, or no longer."""


class BusyError(GuestError):
    """Somebody else uses this monitor, or QEMU hangs; from outside that looks the same."""


class Monitor:
    """One connection to one monitor. Not shared between threads.

    ``version`` is QEMU's; ``peer`` is (pid, uid, gid) of the process that opened the socket.

    :raises GoneError: when nobody listens.
    :raises BusyError: when nobody greets in time.
    :raises GuestError: when whoever answers does not speak the protocol.
    """

    def __init__(self, path: str, seconds: float = GREETING_SECONDS) -> None:
        self.path = path
        self.version: Tuple[int, int, int] = (0, 0, 0)
        self._buffer = bytearray()
        self._events: Deque[Dict[str, Any]] = deque(maxlen=_EVENTS_KEPT)
        self._number = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(seconds)
            self.peer = _peer(self._socket)
            self.version = _version(self._greeting(seconds))
            self.ask(json.dumps({"execute": "qmp_capabilities"}))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()

    def ask(self, command: str, seconds: float = ANSWER_SECONDS) -> str:
        """One command, as JSON, and QEMU's answer to it.

        :raises TimedOutError: when it does not come in time; what was asked may still happen.
        :raises GoneError: when the connection ends before it.
        """
        end = time.monotonic() + seconds
        self._number += 1
        number = f"fleet.rng-{self._number}"
        self._send({**json.loads(command), "id": number}, end)
        for dummy in range(_MAX_SKIPPED):
            message = self._receive(end)
            # An answer without an id is to a command that QEMU could not even parse.
            if message.get("id") == number or ("error" in message and "id" not in message):
                return json.dumps({name: message[name] for name in ("return", "error") if name in message})
            if "event" in message:
                self._events.append(message)
        raise GuestError(f"{self._name()} sends {_MAX_SKIPPED} messages and no answer")

    def wait_event(self, name: str, seconds: float) -> bool:
        """Whether such an event has come since it was last asked for, or comes within these seconds."""
        end = time.monotonic() + seconds
        while True:
            while self._events:
                if self._events.popleft().get("event") == name:
                    return True
            try:
                message = self._receive(end)
            except TimedOutError:
                return False
            if "event" in message:
                self._events.append(message)

    def _connect(self, seconds: float) -> None:
        self._socket.settimeout(seconds)
        try:
            self._socket.connect(self.path)
        except (BlockingIOError, socket.timeout) as error:  # as many others as QEMU lets wait are waiting already
            raise self._busy(seconds) from error
        except PermissionError as error:
            raise GuestError(f"{self._name()}: permission denied; become may be needed") from error
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise GoneError(f"{self._name()}: nobody answers there ({printable(why, 100)})") from error

    def _greeting(self, seconds: float) -> Dict[str, Any]:
        try:
            return self._receive(time.monotonic() + seconds)
        except TimedOutError as error:
            if self._buffer:
                raise GuestError(f"{self._name()} is no QMP monitor: it sends {self._shown()}") from error
            raise self._busy(seconds) from error

    def _busy(self, seconds: float) -> BusyError:
        return BusyError(
            f"{self._name()}: no greeting within {seconds:g} seconds: another client is connected to this monitor, "
            "which serves one at a time, or QEMU hangs. Give the guest a QMP socket of its own for this"
        )

    def _send(self, message: Dict[str, Any], end: float) -> None:
        try:
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            self._socket.sendall(json.dumps(message).encode("ascii") + b"\n")
        except socket.timeout as error:
            raise TimedOutError(f"{self._name()} takes no commands; QEMU hangs") from error
        except OSError as error:
            raise GoneError(f"{self._name()}: QEMU has ended or closed the connection") from error

    def _receive(self, end: float) -> Dict[str, Any]:
        """The next message. One is a line, or with -qmp-pretty several, of which the last begins with the brace."""
        line_start = 0
        while True:
            newline = self._buffer.find(b"\n", line_start)
            if newline < 0:
                self._read(end)
                continue
            first, last = line_start == 0, self._buffer[line_start:newline].rstrip()
            line_start = newline + 1
            if not first and last != b"}":
                continue
            text = bytes(self._buffer[:line_start])
            if first and not text.strip():
                del self._buffer[:line_start]
                line_start = 0
                continue
            if first and text.rstrip() == b"{":
                continue
            del self._buffer[:line_start]
            return self._parsed(text)

    def _parsed(self, text: bytes) -> Dict[str, Any]:
        try:
            message = json.loads(text.decode("utf-8", "replace"), parse_int=_parse_number)
            if not isinstance(message, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError) as error:
            shown = printable(text[:80].decode("utf-8", "replace").strip(), 80)
            raise GuestError(f"{self._name()} is no QMP monitor: it sends {shown}") from error
        return message

    def _read(self, end: float) -> None:
        if len(self._buffer) > MESSAGE_LIMIT:
            raise GuestError(f"{self._name()} sends a message of more than {MESSAGE_LIMIT} bytes")
        left = end - time.monotonic()
        if left <= 0:
            raise TimedOutError(f"{self._name()}: QEMU did not answer in time, the outcome is unknown")
        try:
            self._socket.settimeout(left)
            chunk = self._socket.recv(_CHUNK)
        except socket.timeout as error:
            raise TimedOutError(f"{self._name()}: QEMU did not answer in time, the outcome is unknown") from error
        except OSError as error:
            raise GoneError(f"{self._name()}: QEMU has ended or closed the connection") from error
        if not chunk:
            raise GoneError(f"{self._name()}: QEMU has ended or closed the connection")
        self._buffer += chunk

    def _shown(self) -> str:
        return printable(bytes(self._buffer[:80]).decode("utf-8", "replace").strip(), 80)

    def _name(self) -> str:
        return f"QMP socket {printable(self.path, 200)}"


def is_socket(path: str) -> bool:
    """Whether a socket lies there, whoever listens."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _peer(connected: socket.socket) -> Tuple[int, int, int]:
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return pid, uid, gid


def _version(greeting: Dict[str, Any]) -> Tuple[int, int, int]:
    try:
        version = greeting["QMP"]["version"]["qemu"]
        numbers = tuple(version[name] for name in ("major", "minor", "micro"))
    except (KeyError, TypeError) as error:
        raise GuestError("its QMP socket greets unlike QEMU") from error
    if not all(isinstance(number, int) and 0 <= number < 10000 for number in numbers):
        raise GuestError("its QMP socket greets unlike QEMU")
    return numbers[0], numbers[1], numbers[2]


def _parse_number(digits: str) -> int:
    """Python before 3.11 would work for seconds on a number with a million digits."""
    if len(digits) > 20:
        raise ValueError("a number that is too long")
    return int(digits)


def connect_in_turn(paths: Tuple[str, ...], seconds: Optional[float] = None) -> Monitor:
    """The first of a guest's monitors that serves us.

    :raises GuestError: what was wrong with the last one, or with the one that is in use.
    """
    failure: Optional[GuestError] = None
    for path in paths:
        try:
            return Monitor(path, GREETING_SECONDS if seconds is None else seconds)
        except GuestError as error:
            if failure is None or not isinstance(failure, BusyError):
                failure = error
    raise failure or GoneError("it has no QMP socket")


def peer_of(path: str) -> Tuple[int, int, int]:
    """(pid, uid, gid) of the process that opened the socket, also while it serves somebody else.

    :raises GuestError: when nobody listens there, or so many wait that it cannot be told.
    """
    name = f"QMP socket {printable(path, 200)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(GREETING_SECONDS)
        try:
            probe.connect(path)
            return _peer(probe)
        except (BlockingIOError, socket.timeout) as error:
            raise BusyError(f"{name}: others wait for it") from error
        except (OSError, ValueError) as error:
            raise GoneError(f"{name}: nobody answers there ({printable(str(error), 100)})") from error
