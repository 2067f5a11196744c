# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's QEMU agent over the UNIX socket that its QEMU listens on.

One program at a time can be connected there. For a second one it is as if the agent did not answer, so everything here
ends in time.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Optional

from ..text import printable
from .agent import ANSWER_LIMIT, GARBAGE, NO_AGENT, TIMED_OUT, AgentError

_DELIMITER = b"\xff"  # in no JSON text; the agent sends it before its answer to guest-sync-delimited
_MARK = 20_260_101
_CHUNK = 65536


class AgentSocket:
    """Carries one command after the other; to be called like every way to an agent. Not shared between threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket: Optional[socket.socket] = None
        self._buffer = b""
        self._failure: Optional[AgentError] = None

    def __call__(self, text: str, seconds: float) -> str:
        """One command, and the agent's answer.

        :raises AgentError: with the kind of the failure. After one nothing more is asked: answers could be mixed up.
        """
        if self._failure is not None:
            raise self._failure
        end = time.monotonic() + seconds
        try:
            if self._socket is None:
                self._socket = self._connected(end)
                self._synchronize(self._socket, end)
            self._send(self._socket, text.encode("utf-8", "replace") + b"\n", end)
            return self._line(self._socket, b"\n", end).decode("utf-8", "replace")
        except AgentError as error:
            self._failure = error
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _connected(self, end: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, end - time.monotonic()))
            connection.connect(self.path)
        except (BlockingIOError, socket.timeout) as error:
            connection.close()
            raise self._silent() from error
        except (OSError, ValueError) as error:
            connection.close()
            raise AgentError(NO_AGENT, f"{self._name()} cannot be opened: {printable(str(error), 100)}") from error
        return connection

    def _synchronize(self, connection: socket.socket, end: float) -> None:
        """Throw away what an earlier program did not read, and let the agent throw away what it did not end."""
        question = {"execute": "guest-sync-delimited", "arguments": {"id": _MARK}}
        self._send(connection, _DELIMITER + json.dumps(question).encode("ascii") + b"\n", end)
        while True:
            self._line(connection, _DELIMITER, end)
            try:
                answer = json.loads(self._line(connection, b"\n", end))
            except (ValueError, RecursionError):
                continue
            if isinstance(answer, dict) and answer.get("return") == _MARK:
                return

    def _send(self, connection: socket.socket, data: bytes, end: float) -> None:
        try:
            connection.settimeout(max(0.001, end - time.monotonic()))
            connection.sendall(data)
        except socket.timeout as error:
            raise self._silent() from error
        except OSError as error:
            raise AgentError(NO_AGENT, f"{self._name()} was closed") from error

    def _line(self, connection: socket.socket, end_mark: bytes, end: float) -> bytes:
        """What comes until this mark, without it."""
        while end_mark not in self._buffer:
            if len(self._buffer) > ANSWER_LIMIT:
                raise AgentError(GARBAGE, f"the agent's answer is longer than {ANSWER_LIMIT} bytes")
            left = end - time.monotonic()
            if left <= 0:
                raise self._silent()
            try:
                connection.settimeout(left)
                chunk = connection.recv(_CHUNK)
            except socket.timeout as error:
                raise self._silent() from error
            except OSError as error:
                raise AgentError(NO_AGENT, f"{self._name()} was closed") from error
            if not chunk:
                raise AgentError(NO_AGENT, f"{self._name()} was closed")
            self._buffer += chunk
        found, dummy, self._buffer = self._buffer.partition(end_mark)
        return found

    def _silent(self) -> AgentError:
        return AgentError(
            TIMED_OUT, f"its agent does not answer in time, or another program is connected to {self._name()}"
        )

    def _name(self) -> str:
        return f"the agent's socket {printable(self.path)}"
