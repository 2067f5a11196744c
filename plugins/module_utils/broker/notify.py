# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd is told: that the program is ready, lives, and which sockets to keep in case that it crashes.

Nothing here blocks or raises. What a full socket does not take waits for ``flush``; of what is outdated meanwhile only
the newest is sent. Without systemd all of it is nothing.

A socket that systemd keeps stays open when we close ours. So a connection that is to end has to be shut down, which
systemd sees; ``forget`` is for those that the other side has not left.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import time
from typing import Dict, List, Mapping, Optional, Tuple

from ..text import printable

LONGEST_NAME = 255  # characters of a descriptor's name

_UNCONNECTED = (errno.ECONNREFUSED, errno.ENOTCONN)
# Worth another try later; with the last ones systemd is just being replaced.
_LATER = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS, *_UNCONNECTED, errno.ENOENT)


class Notifier:
    """Speaks to the process that started this one, if that wants to hear.

    :param environ: with NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which stay there for the program's next self.
    :param pid: of this process.
    """

    def __init__(self, environ: Mapping[str, str], pid: Optional[int] = None) -> None:
        self.lost = 0  # messages that nobody will get
        self.interval: Optional[float] = None  # seconds between two signs of life
        self._socket: Optional[socket.socket] = None
        self._waiting: Dict[Tuple[str, str], Tuple[bytes, int]] = {}
        self._next = 0.0
        self._connected = False
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        if self._address:
            try:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            except OSError:
                self.lost += 1
        if self._socket:
            self.interval = _interval(environ, os.getpid() if pid is None else pid)

    def __bool__(self) -> bool:
        """Whether there is somebody to be told."""
        return self._socket is not None

    def fileno(self) -> int:
        """Writable when a ``flush`` is worth it (to be watched for the edge); -1 when nobody is to be told.

        systemd's queue may be as short as ten messages, and what has not been stored is lost in a crash.
        """
        return self._socket.fileno() if self._socket else -1

    @property
    def waiting(self) -> int:
        """The number of messages that have not been sent yet."""
        return len(self._waiting)

    def ready(self) -> None:
        """Say that the program does its work, at its start and after ``reloading``."""
        self._tell("ready", b"READY=1")

    def status(self, text: str) -> None:
        """Show a line to people."""
        self._tell("status", b"STATUS=" + printable(text, 300).encode())

    def stopping(self) -> None:
        """Say that the program is about to end."""
        self._tell("stopping", b"STOPPING=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again; ``ready`` has to follow."""
        self._tell("reloading", b"RELOADING=1\nMONOTONIC_USEC=%d" % (time.monotonic_ns() // 1000))

    def watchdog(self, now: Optional[float] = None) -> Optional[float]:
        """Give a sign of life if it is time for one, and say how many seconds the next may wait; None: nobody watches.

        :param now: of the monotonic clock.
        """
        if self.interval is None:
            return None
        if now is None:
            now = time.monotonic()
        if now >= self._next:
            self._tell("watchdog", b"WATCHDOG=1")
            self._next = now + self.interval
        return self._next - now

    def store(self, name: str, fd: int, poll: bool = True) -> None:
        """Let systemd keep a socket under a name that no other has, to hand it back after a crash.

        :param name: printable ASCII without a colon, at most 255 characters.
        :param poll: systemd drops it by itself when the other side has left.
        """
        if not self._socket:
            return
        if not _is_name(name):
            self.lost += 1
            return
        text = f"FDSTORE=1\nFDNAME={name}" + ("" if poll else "\nFDPOLL=0")
        self._put(("store", name), text.encode(), fd)

    def unstored(self) -> List[str]:
        """The names of what systemd was to keep and has not got yet: for the program's next self."""
        return [name for kind, name in self._waiting if kind == "store"]

    def forget(self, name: str) -> None:
        """Let systemd close what it has under a name. To be called before ``fd`` of a ``store`` is closed."""
        if not self._socket or not _is_name(name):
            return
        if self._waiting.pop(("store", name), None) is None:
            self._put(("forget", name), f"FDSTOREREMOVE=1\nFDNAME={name}".encode())

    def flush(self) -> bool:
        """Send what waits, as far as that is possible; return whether nothing waits any more."""
        waiting = self._waiting
        while waiting:
            key = next(iter(waiting))
            if not self._send(*waiting[key]):
                return False
            del waiting[key]
        return True

    def close(self) -> None:
        """Say no more."""
        if self._socket:
            self._socket.close()
            self._socket = None
            self.interval = None
            self._waiting.clear()

    def _tell(self, kind: str, message: bytes) -> None:
        if self._socket:
            self._waiting.pop((kind, ""), None)  # the order of reloading and ready has a meaning
            self._put((kind, ""), message)

    def _put(self, key: Tuple[str, str], message: bytes, fd: int = -1) -> None:
        if self._waiting or not self._send(message, fd):
            self._waiting[key] = (message, fd)
            self.flush()

    def _send(self, message: bytes, fd: int) -> bool:
        """Return whether that is done with, sent or not; False: it has to wait."""
        if not self._socket:
            return True
        rights: List[Tuple[int, int, bytes]] = []
        if fd >= 0:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]).tobytes())]
        code = self._try(message, rights)
        if code in _UNCONNECTED:  # the first time; or systemd was replaced
            self._connected = False
            code = self._try(message, rights)
        if code in _LATER:
            return False
        self.lost += bool(code)
        return True

    def _try(self, message: bytes, rights: List[Tuple[int, int, bytes]]) -> int:
        """Send it and return 0, or the number of the error. Only a connected socket tells when there is room again."""
        if not self._socket:
            return 0
        try:
            if not self._connected:
                self._socket.connect(self._address)
                self._connected = True
            self._socket.sendmsg([message], rights, socket.MSG_NOSIGNAL)
        except OSError as error:
            return error.errno or errno.EIO
        return 0


def _address(given: str) -> str:
    """What to connect to; empty for nothing, and for what is neither a path nor an abstract name."""
    if given.startswith("@"):
        return "\0" + given[1:]
    return given if given.startswith("/") else ""


def _interval(environ: Mapping[str, str], pid: int) -> Optional[float]:
    """Half of the time after which systemd takes the program for hung."""
    usec, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    if whose != str(pid) or not usec.isdecimal() or len(usec) > 18 or not int(usec):
        return None
    return int(usec) / 2e6


def _is_name(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isascii() and name.isprintable() and ":" not in name
