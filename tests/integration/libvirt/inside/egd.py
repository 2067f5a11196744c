# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small EGD server: egd.py UNIX_PATH TCP_PORT UDP_PORT; it prints its pid once it is ready.

It knows the one request that QEMU sends, the blocking read ``02 n``. It never closes a connection by itself: QEMU
would not repeat its request on a new one, and the guest would hang.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
from pathlib import Path

unix_path, tcp_port, udp_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
selector = selectors.DefaultSelector()


def answer(request: bytes) -> bytes:
    """The bytes that whole ``02 n`` requests ask for."""
    return b"".join(os.urandom(request[at + 1]) for at in range(0, len(request) - 1, 2) if request[at] == 2)


def accept(listener: socket.socket) -> None:
    """A new client."""
    selector.register(listener.accept()[0], selectors.EVENT_READ, serve)


def serve(client: socket.socket) -> None:
    """One request, or the client's end."""
    request = client.recv(4096)
    if request:
        client.sendall(answer(request))
    else:
        selector.unregister(client)
        client.close()


def serve_datagram(server: socket.socket) -> None:
    """One request."""
    request, client = server.recvfrom(4096)
    server.sendto(answer(request), client)


Path(unix_path).unlink(missing_ok=True)  # left by a server that was killed
unix = socket.socket(socket.AF_UNIX)
unix.bind(unix_path)
unix.listen()
tcp = socket.create_server(("127.0.0.1", tcp_port))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", udp_port))
for server, handler in ((unix, accept), (tcp, accept), (udp, serve_datagram)):
    selector.register(server, selectors.EVENT_READ, handler)
print(os.getpid(), flush=True)  # ready
while True:
    for key, _events in selector.select():
        key.data(key.fileobj)
