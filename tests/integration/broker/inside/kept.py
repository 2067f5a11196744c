# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest program whose connections outlive it: it answers nothing before it is told to by a signal.

KEPT names its socket. It says in its status how many connections it has, and how many of them were there before it.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from . import handover
from .notify import Notifier


def main(dummy_version: str = "") -> int:
    """Take connections and keep them; on SIGUSR1 answer each request in turn with who answers."""
    notifier = Notifier(os.environ)
    found = [handover.adopt(fd) for fd, dummy in handover.inherited(os.environ, os.getpid())]
    clients: dict[int, socket.socket] = {one.fileno(): one for one in found if one and not handover.listening(one)}
    listeners = [one for one in found if one and handover.listening(one)]
    if not listeners:
        listeners.append(socket.socket(socket.AF_UNIX))
        listeners[0].bind(os.environ["KEPT"])
        listeners[0].listen()
        notifier.store("listener", listeners[0].fileno())
    (listener,) = listeners
    before = len(clients)
    answer: list[bool] = []
    signal.signal(signal.SIGUSR1, lambda *dummy: answer.append(True))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    notifier.ready()
    while True:
        notifier.status(f"{len(clients)} connections, {before} from before")
        ready = select.select([listener, reading], [], [], notifier.watchdog())[0]
        if listener in ready:
            client = listener.accept()[0]
            clients[client.fileno()] = client
            notifier.store(f"c{os.getpid()}.{client.fileno()}", client.fileno())
            continue
        if reading in ready:
            os.read(reading, 100)
        while answer:
            answer.pop()
            for client in clients.values():
                address = handover.address(client)
                client.sendall(client.recv(100) + f" answered by {os.getpid()} on {address}".encode())
