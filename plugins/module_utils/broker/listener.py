# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that clients connect to."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from dataclasses import replace
from typing import Optional, Tuple

from ..errors import RngError
from .peer import Peer, peer_of

BACKLOG = 1024
GONE = (-1, -1)


class ListenError(RngError):
    """A socket that cannot be opened: the text says which, why, and what helps."""


class Listener:
    """A socket of a class, and who may use it. A ``guest`` has it for itself, by this name.

    ``sock`` None: it is configured no more, and only has the clients that it had.
    """

    __slots__ = ("_file", "address", "class_name", "clients", "fd", "guest", "most_clients", "name", "sock")

    def __init__(
        self, address: str, class_name: str, sock: Optional[socket.socket], guest: Optional[str], most_clients: int
    ) -> None:
        self.address = address
        self.class_name = class_name
        self.guest = guest
        self.sock: Optional[socket.socket] = None
        self.name = store_name(address)
        self.clients = 0
        self.most_clients = most_clients
        self.use(sock)

    def use(self, sock: Optional[socket.socket]) -> None:
        """Listen here from now on, and close the socket before it."""
        if self.sock is not None:
            self.sock.close()
        self.sock = sock
        self.fd = -1 if sock is None else sock.fileno()
        self._file = _inode(self.address)

    def is_found(self) -> bool:
        """Whether the path still leads here: somebody may have emptied the directory."""
        return self._file == _inode(self.address) != GONE

    def peer(self, connection: socket.socket) -> Peer:
        """Who came in here. Raises OSError when it has gone again."""
        peer = peer_of(connection)
        return peer if self.guest is None else replace(peer, guest=self.guest)


def store_name(address: str) -> str:
    """The name of a listening socket in systemd's file descriptor store, which knows a socket by its first name."""
    return "l" + address.replace(":", "_")


def open_socket(address: str) -> socket.socket:
    """Listen on ``/path`` or ``tcp://host:port``. What nobody listens on any more is replaced. Raises ListenError."""
    try:
        sock = _open_tcp(address) if address.startswith("tcp://") else _open_unix(address)
    except OSError as error:
        raise ListenError(f"socket {address}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


def _open_tcp(address: str) -> socket.socket:
    host, dummy, port = address[len("tcp://") :].rpartition(":")
    host = host.strip("[]")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_unix(path: str) -> socket.socket:
    _clear(path)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # nobody gets in before permit()
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _clear(path: str) -> None:
    """Remove a socket that nobody listens on. Anything else that is there stays."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise ListenError(f"socket {path}: something is there that is no socket; remove it, or choose another path")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(2.0)
        code = probe.connect_ex(path)
    if code != errno.ECONNREFUSED:
        raise ListenError(f"socket {path}: somebody listens there already; is another virtrngd running?")
    os.unlink(path)


def permit(path: str, mode: int, group: Optional[str]) -> None:
    """Let those connect who may; without a group that of the daemon, also after another. Raises ListenError."""
    try:
        os.chown(path, -1, os.getegid() if group is None else grp.getgrnam(group).gr_gid)
        os.chmod(path, mode)
    except KeyError as error:
        raise ListenError(f"socket {path}: this host has no group {group}") from error
    except OSError as error:
        raise ListenError(
            f"socket {path}: group {group}, mode {mode:04o}: {error.strerror}; the daemon's user must be in that group"
        ) from error


def remove(address: str) -> None:
    """Take the path of a closed socket away."""
    if not address.startswith("tcp://"):
        with contextlib.suppress(OSError):
            os.unlink(address)


def _inode(address: str) -> Tuple[int, int]:
    """Which file a path is; GONE when it is none. A TCP socket has no path that could be lost."""
    if address.startswith("tcp://"):
        return (0, 0)
    try:
        status = os.lstat(address)
    except OSError:
        return GONE
    return status.st_dev, status.st_ino
