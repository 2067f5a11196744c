# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a connection: its process, and the guest that this says it is.

A process chooses the words of its own command line, so the guest's name is a label for people: it grants nothing.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ..text import printable

PROC = "/proc"
LABEL_LIMIT = 100  # characters

_MOST = 65536  # bytes of a command line
_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7)
_SEPARATOR = "\0"  # no word of a command line holds it


@dataclass(frozen=True)
class Peer:
    """``pid`` and ``uid`` are those at the time of its connect(); None over TCP, which does not tell."""

    guest: str
    pid: Optional[int] = None
    uid: Optional[int] = None
    gid: Optional[int] = None


def peer_of(connection: socket.socket, guest: Optional[str] = None) -> Peer:
    """The peer of a connection that was accepted. Where only one guest may connect, ``guest`` is its name.

    :raises OSError: when it is not connected any more.
    """
    if connection.family != socket.AF_UNIX:
        host, port = connection.getpeername()[:2]
        return Peer(printable(guest or f"{host}:{port}", LABEL_LIMIT))
    pid, uid, gid = _credentials(connection)
    return Peer(printable(guest, LABEL_LIMIT) if guest else label(pid), pid, uid, gid)


def pid_of(connection: socket.socket) -> Optional[int]:
    """Its process, without a look at the command line; 0 where the kernel does not show it, None over TCP."""
    return _credentials(connection)[0] if connection.family == socket.AF_UNIX else None


def _credentials(connection: socket.socket) -> Tuple[int, int, int]:
    pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid, gid


def label(pid: int) -> str:
    """What a process calls its guest, printable; ``pid N`` where it says nothing or may not be asked."""
    return printable(guest_of(_command_line(pid)), LABEL_LIMIT) or f"pid {pid}"


def guest_of(words: List[str]) -> str:
    """The guest's name of a QEMU command line, or else its UUID, or else nothing. Of several the last one counts."""
    name = uuid = ""
    for option, value in zip(words[1:], words[2:]):
        if option in ("-name", "--name"):
            name = _name(value) or name
        elif option in ("-uuid", "--uuid"):
            uuid = value.lower()
    return name or uuid


def _name(value: str) -> str:
    """Of ``web1``, ``web1,process=…`` or ``debug-threads=on,guest=web1``; ``,,`` is a comma of the name."""
    found = ""
    for number, part in enumerate(value.replace(",,", _SEPARATOR).split(",")):
        key, equals, text = part.partition("=")
        if number == 0 and (not equals or _SEPARATOR in key):
            found = part
        elif equals and key == "guest":
            found = text
    return found.replace(_SEPARATOR, ",")


def _command_line(pid: int) -> List[str]:
    """Its words; none where the process is gone, hidden, or a part of the kernel."""
    try:
        # A pid that was given away again, or a /proc that is none, must not lead elsewhere or hold up the loop.
        descriptor = os.open(f"{PROC}/{pid}/cmdline", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        text = os.read(descriptor, _MOST)
    except OSError:
        return []
    finally:
        os.close(descriptor)
    words = text.decode("utf-8", "surrogateescape").split("\0")
    # After the last word comes a NUL, and where the text was cut a piece of a word that is better not shown.
    return words[:-1]
