# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket, on the daemon's side: a connection asks with a line of JSON, and is answered with one.

Whoever may connect may ask for the status; what changes something is for root and the daemon's own user. No connection
can hold up the loop, or keep others out for long: there are few, each with a short request and a short life.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional

from ..errors import RngError
from ..text import printable
from .peer import Peer, peer_of

MOST_CONNECTIONS = 8
MOST_REQUEST = 4096  # bytes
LIFETIME = 10.0  # seconds
PATIENCE = 60.0  # seconds for an answer that comes later
PIECE = 65536  # bytes of an answer that are sent in one pass of the loop

_BUSY = {"ok": False, "error": "too many control connections; try again"}


class Connection:
    """Somebody who asks one thing. A command may keep it, to answer later."""

    def __init__(self, control: Control, sock: socket.socket, peer: Peer, until: float) -> None:
        self.sock = sock
        self.peer = peer
        self.until = until
        self.asked = b""
        self.running = False  # its command runs, or has run
        self.out = memoryview(b"")
        self.last = False  # nothing follows what is in out
        self._control = control

    @property
    def closed(self) -> bool:
        return self.sock.fileno() < 0

    def answer(self, message: Mapping[str, Any], more: bool = False) -> None:
        """Send ``message``, with ``ok: true`` unless that says otherwise. One that has left is not told.

        :param more: another answer follows; until then the connection stays.
        """
        self._control.send(self, message, more)

    def refuse(self, error: str) -> None:
        """Answer that it did not work, and why."""
        self.answer({"ok": False, "error": printable(error, 2000)})


# Returns the answer, or None when it has kept the connection and answers later. What it raises as RngError is the
# answer too.
Run = Callable[[Connection], Optional[Mapping[str, Any]]]


@dataclass(frozen=True)
class Command:
    """``privileged``: only for root and the daemon's own user."""

    run: Run
    privileged: bool = False


class Control:
    """The listening socket and its connections.

    :param listener: non-blocking, and listening. It stays open when this is closed.
    :param commands: what can be asked for, by name.
    :param watch: called with a descriptor, a function, and a mask of epoll: call the function whenever the mask holds.
    :param unwatch: called with a descriptor that is to be watched no more.
    """

    def __init__(
        self,
        listener: socket.socket,
        commands: Mapping[str, Command],
        watch: Callable[[int, Callable[[], None], int], None],
        unwatch: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener: Optional[socket.socket] = None
        self._commands = commands
        self._watch = watch
        self._unwatch = unwatch
        self._clock = clock
        self._connections: Dict[int, Connection] = {}
        self._paused = False
        self.listen(listener)

    def listen(self, listener: Optional[socket.socket]) -> None:
        """Take connections here from now on, or nowhere. Those that are there stay."""
        if self._listener is not None and not self._paused:
            self._unwatch(self._listener.fileno())
        self._listener, self._paused = listener, False
        if listener is not None:
            self._watch(listener.fileno(), self.accept, select.EPOLLIN)

    def __len__(self) -> int:
        return len(self._connections)

    def accept(self) -> None:
        """Take the connections that wait. With too many of them root still gets in, in place of somebody else."""
        listener = self._listener
        if listener is None:
            return
        for dummy in range(MOST_CONNECTIONS):
            try:
                sock = listener.accept()[0]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._paused = True  # it would be told again at once, and for nothing
                    self._unwatch(listener.fileno())
                return
            try:
                sock.setblocking(False)
                peer = peer_of(sock)
            except OSError:
                sock.close()
                continue
            connection = Connection(self, sock, peer, self._clock() + LIFETIME)
            if len(self._connections) >= MOST_CONNECTIONS and not (_privileged(peer) and self._make_room()):
                self.send(connection, _BUSY)
                sock.close()
                continue
            self._connections[sock.fileno()] = connection
            self._wait(connection, select.EPOLLIN)

    def sweep(self) -> None:
        """Close the connections that took too long; to be called about once a second."""
        now = self._clock()
        for connection in [one for one in self._connections.values() if one.until <= now]:
            if connection.running and not connection.out:
                self.send(connection, {"ok": False, "error": "no answer in time"})
            self._drop(connection)
        if self._paused:
            self.listen(self._listener)

    def close(self) -> None:
        """Close all connections and stop listening; the listening socket itself belongs to the caller."""
        self.listen(None)
        for connection in list(self._connections.values()):
            self._drop(connection)

    def send(self, connection: Connection, message: Mapping[str, Any], more: bool = False) -> None:
        """See Connection.answer."""
        if connection.closed:
            return
        text = json.dumps({"ok": True, **message}, ensure_ascii=False, separators=(",", ":"))
        connection.out = memoryview(bytes(connection.out) + text.encode("utf-8", "replace") + b"\n")
        connection.last = not more
        connection.until = self._clock() + (PATIENCE if more else LIFETIME)
        self._flush(connection)

    def _step(self, connection: Connection) -> None:
        """What the loop calls when epoll says so."""
        if connection.out:
            self._flush(connection)
        elif connection.running:
            self._drop(connection)  # nothing was waited for, so it has gone
        else:
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(MOST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.asked += data
        line, newline, dummy_rest = connection.asked.partition(b"\n")
        if len(line) > MOST_REQUEST:
            connection.running = True
            connection.refuse(f"a request is at most {MOST_REQUEST} bytes long")
        elif newline:
            connection.running = True
            connection.until = self._clock() + PATIENCE
            self._wait(connection, 0)
            self._run(connection, line)
        elif not data:
            self._drop(connection)

    def _run(self, connection: Connection, line: bytes) -> None:
        try:
            answer = self._command(line, connection.peer).run(connection)
        except RngError as error:
            connection.refuse(str(error))
        except Exception as error:  # noqa: BLE001 - guests are not to suffer from a fault in what answers an operator
            connection.refuse(f"a fault of this program: {type(error).__name__}: {error}")
        else:
            if answer is not None:
                connection.answer(answer)

    def _command(self, line: bytes, peer: Peer) -> Command:
        try:
            request = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            request = None
        name = request.get("command") if isinstance(request, dict) else None
        if not isinstance(name, str):
            raise RngError('a request is a line with a JSON object: {"command": "status"}')
        command = self._commands.get(name)
        if command is None:
            raise RngError(f"unknown command {printable(name, 50)!r}; there are: {', '.join(self._commands)}")
        if command.privileged and not _privileged(peer):
            raise RngError(f"{name} is for root and the daemon's own user only, and you are user {peer.uid}")
        return command

    def _flush(self, connection: Connection) -> None:
        """Send a piece of what is to be sent; the rest when the loop comes back, so that guests are served between."""
        try:
            sent = connection.sock.send(connection.out[:PIECE])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        connection.out = connection.out[sent:]
        if connection.out:
            self._wait(connection, select.EPOLLOUT)
        elif connection.last:
            self._drop(connection)
        else:
            self._wait(connection, 0)

    def _wait(self, connection: Connection, mask: int) -> None:
        """With no mask epoll still tells when the other end has gone."""
        if connection.sock.fileno() in self._connections:
            self._watch(connection.sock.fileno(), lambda: self._step(connection), mask)

    def _make_room(self) -> bool:
        for connection in self._connections.values():
            if not _privileged(connection.peer):
                self._drop(connection)
                return True
        return False

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection.sock.fileno(), None):
            self._unwatch(connection.sock.fileno())
        connection.sock.close()


def _privileged(peer: Peer) -> bool:
    return peer.uid in (0, os.geteuid())
