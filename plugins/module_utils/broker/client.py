# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to the broker."""

from __future__ import annotations

import base64
import socket
from typing import Any, Dict, Optional

from .bucket import Flow
from .listener import Listener
from .peer import Peer


class Client:
    """A connection. ``data`` is what was seen of its unanswered commands; the kernel still has all of it."""

    __slots__ = (
        *(
            "sock",
            "fd",
            "recv",
            "send",
            "name",
            "listener",
            "peer",
            "flow",
            "data",
            "length",
            "header",
            "asking",
            "asked",
            "out",
        ),
        *("ended", "since", "bytes", "requests", "waits"),
    )

    def __init__(self, sock: socket.socket, name: str, listener: Listener, peer: Peer) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.recv = sock.recv  # bound once: these are what every request costs
        self.send = sock.send
        self.name = name  # in systemd's file descriptor store
        self.listener = listener
        self.peer = peer
        self.flow: Flow  # in its class
        self.data = b""
        self.length = 0  # bytes of the command at the head, when it asks for randomness
        self.header = b""  # what stands before the answer to it; only an answer at once has one
        self.asking = False
        self.asked = 0.0  # on the monotonic clock
        self.out = b""  # the rest of an answer that the client did not take
        self.ended = False  # it will send no more
        self.since: Optional[float] = None  # when it began to owe us the rest of a command, or to take no answer
        self.bytes = 0
        self.requests = 0
        self.waits = 0

    def state(self) -> Dict[str, Any]:
        """What the program's next self has to know beside the connection."""
        return {
            "name": self.name,
            "class": self.listener.class_name,
            "peer": [self.peer.guest, self.peer.pid, self.peer.uid, self.peer.gid],
            "out": base64.b64encode(self.out).decode(),
            "counters": [self.bytes, self.requests, self.waits],
        }
