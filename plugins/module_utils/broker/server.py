# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that answers clients: an epoll of its own, since a pass of it costs a third of what asyncio's does.

A request stays in the kernel's buffer of its connection until it is answered: it is looked at, answered, and only then
taken out. So what a crash leaves behind in systemd's file descriptor store is complete, and a new process finds every
request that waits. An answer that is sent twice in that moment is bytes that QEMU keeps for its next request.

Events are edge-triggered: a request that has to wait costs nothing until its class may go on.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import time
from typing import Callable, Dict, List, Set

from .bucket import Flow
from .client import Client
from .egd import ADD, COUNT, PID, TAKE, WAIT, ProtocolError, parse
from .listener import Listener
from .log import Log
from .notify import Notifier
from .peer import Peer
from .places import Places
from .pool import Pool
from .tree import Tree

GLANCE = 16  # bytes that are looked at first: all that QEMU has open at a time. A small buffer is cheaper
PEEK = 512  # bytes that are looked at where there are more
CHEAP = 16  # commands without randomness that a client is answered in one pass
MOST = 2048  # requests that are answered in one pass; after so many others are looked at again
UNFINISHED = 30.0  # seconds that a client may take over a command, or leave an answer in our hands
IDLE = 3600.0

_NAME = re.compile(r"c([0-9]{1,18})")  # of a connection, in systemd's store
_PEEK = socket.MSG_PEEK
_IN = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_GONE = select.EPOLLHUP | select.EPOLLERR


class Server:
    """Clients, their classes and the bytes for them. Whoever holds it calls ``turn`` again and again."""

    def __init__(self, tree: Tree, pool: Pool, log: Log, notifier: Notifier, accept_entropy: bool) -> None:
        self.tree = tree
        self.pool = pool
        self.accept_entropy = accept_entropy
        self.clients: Dict[int, Client] = {}
        self.places = Places()
        self.protocol_errors = 0
        self._log = log
        self._notifier = notifier
        self._epoll = select.epoll()
        self._handlers: Dict[int, Callable[[], None]] = {}
        self._serial = 0
        self._now = time.monotonic()
        self._delay = IDLE
        self._slow: Dict[int, Client] = {}
        self._at_once: List[Client] = []
        self._again: Dict[Client, None] = {}
        self._left = 0  # requests that this pass may still answer
        self._fresh: Set[int] = set()  # descriptors that came into use in this pass: events of it are not theirs
        self._broken: List[Client] = []

    # What the loop waits for

    def watch(self, descriptor: int, handler: Callable[[], None], mask: int = select.EPOLLIN) -> None:
        """Call ``handler`` whenever this is readable, or as the mask says."""
        if descriptor in self._handlers:
            self._epoll.modify(descriptor, mask)
        else:
            self._epoll.register(descriptor, mask)
        self._handlers[descriptor] = handler

    def unwatch(self, descriptor: int) -> None:
        """Stop that; before the descriptor is closed."""
        if self._handlers.pop(descriptor, None):
            self._epoll.unregister(descriptor)

    def adopt(self, sock: socket.socket, listener: Listener, peer: Peer, name: str = "", out: bytes = b"") -> Client:
        """Serve a connection: a new one, or one that another process left to us under a name.

        :param out: the rest of an answer for it.
        """
        sock.setblocking(False)
        known = _NAME.fullmatch(name)
        self._serial = max(self._serial, int(known.group(1))) if known else self._serial + 1
        client = Client(sock, name or f"c{self._serial}", listener, peer)
        client.flow = self.tree.flow(listener.class_name, client)
        client.out = out
        self._epoll.register(client.fd, _IN | (select.EPOLLOUT if out else 0))
        self._fresh.add(client.fd)
        listener.clients += 1
        self.places.take(client.peer.pid)
        self.clients[client.fd] = client
        self._owes(client, bool(out))
        return client

    # The loop

    def turn(self, timeout: float) -> None:
        """Wait for clients, or for the time when one that waits may go on, and serve."""
        wait = 0.0 if self._again else min(timeout, self._delay)
        events = self._epoll.poll(wait)
        self._now = time.monotonic()
        clients = self.clients
        read = self._read
        fresh = self._fresh
        fresh.clear()
        again, self._again = self._again, {}
        for descriptor, mask in events:
            client = clients.get(descriptor)
            if client is None:
                handler = self._handlers.get(descriptor)
                if handler is not None:
                    handler()
            elif fresh and descriptor in fresh:
                continue
            elif mask == select.EPOLLIN:
                read(client)
            else:
                self._change(client, mask)
        for client in again:
            if clients.get(client.fd) is client:
                self._go_on(client)
        self._serve()

    def _serve(self) -> None:
        self.pool.refill()
        self._left = MOST
        delay = self.tree.serve(time.monotonic(), self.pool.available, self._deliver)
        self._delay = IDLE if delay is None else delay
        if self._at_once:
            waiting, self._at_once = self._at_once, []
            for client in waiting:
                self._answer_empty(client)
        if self._broken:
            broken, self._broken = self._broken, []
            for client in broken:
                self.drop(client)

    def _read(self, client: Client) -> None:
        """Look at what a client has sent, and put its first request into its class's queue."""
        try:
            data = client.recv(GLANCE, _PEEK)
            if len(data) == GLANCE:
                data = client.recv(PEEK, _PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.drop(client)
            return
        client.data = data
        if client.asking or client.out:
            return
        if len(data) == 2 and data[0] == WAIT and data[1]:  # what QEMU sends
            client.length = 2
            client.header = b""
            client.asking = True
            client.asked = self._now
            self.tree.ask(client.flow, data[1])
        else:
            self._go_on(client)

    def _deliver(self, flow: Flow, size: int) -> int:
        """Give a client the bytes it asked for, and return how many it asks for next."""
        client: Client = flow.owner
        answer = self.pool.take(size)
        if client.header:
            answer = client.header + answer
        try:
            sent = client.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.pool.give_back(size)
            client.asking = False
            self._broken.append(client)
            return -1
        client.bytes += size
        client.requests += 1
        if client.asked != self._now:
            client.waits += 1
        client.asking = False
        length = client.length
        if len(client.data) == length:
            client.data = b""
            try:
                client.recv(length)
            except OSError:  # it broke, which its next event tells
                pass
        else:
            self._consume(client, length)
        if sent != len(answer):
            self._keep(client, answer[sent:])
            return 0
        if not client.data:
            if client.ended:
                self._broken.append(client)
            return 0
        self._left -= 1
        if self._left < 0:  # a long pipeline must not keep others from being looked at
            self._again[client] = None
            return 0
        return self._next(client)

    def _consume(self, client: Client, length: int) -> None:
        """Take an answered command out of the kernel's buffer, and look behind it where more may be."""
        seen = len(client.data)
        try:
            client.recv(length)
            client.data = client.data[length:] if seen < PEEK else client.recv(PEEK, _PEEK)
        except OSError:  # nothing more is there; a connection that broke is told by its next event
            client.data = b""

    def _go_on(self, client: Client) -> None:
        """Put the next request of a client that has none in a queue into one, if it has sent any."""
        if client.asking or client.out:
            return
        size = self._next(client)
        if size:
            self.tree.ask(client.flow, size)

    def _next(self, client: Client) -> int:
        """Answer what needs no randomness; how many bytes the next command asks for, 0 when there is none."""
        for dummy in range(CHEAP):
            try:
                command = parse(client.data)
            except ProtocolError as error:
                self.protocol_errors += 1
                self._log.warning("protocol error", guest=client.peer.guest, why=str(error))
                self._broken.append(client)
                return 0
            if command is None:
                if client.ended:
                    self._broken.append(client)
                self._owes(client, bool(client.data))
                return 0
            self._slow.pop(client.fd, None)
            size = command.size
            if command.kind == TAKE:
                size = min(size, self.pool.available)
            if size:
                client.length = command.length
                client.header = b""
                client.asking = True
                client.asked = self._now
                if command.kind == TAKE:
                    client.header = bytes([size])
                    self._at_once.append(client)
                return size
            if not self._answer(client, self._reply(client, command.kind), command.length):
                return 0
        self._again[client] = None
        return 0

    def _reply(self, client: Client, kind: int) -> bytes:
        """The answer to a command that gets no randomness."""
        if kind == COUNT:
            return struct.pack(">I", min(self.pool.available * 8, 0xFFFFFFFF))
        if kind == TAKE:
            return b"\0"
        if kind == PID:
            digits = str(os.getpid()).encode()
            return bytes([len(digits)]) + digits
        if kind == ADD and self.accept_entropy:
            mix(client.data[4 : 4 + client.data[3]])
        return b""

    def _answer(self, client: Client, answer: bytes, length: int) -> bool:
        """Send an answer, and say whether the client took all of it."""
        sent = 0
        if answer:
            try:
                sent = client.send(answer)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._broken.append(client)
                return False
        self._consume(client, length)
        if sent != len(answer):
            self._keep(client, answer[sent:])
            return False
        return True

    def _answer_empty(self, client: Client) -> None:
        """A request for what is there at once that its class may not have now: there is nothing."""
        if self.clients.get(client.fd) is client and client.asking and client.header:
            self.tree.withdraw(client.flow)
            client.asking = False
            if self._answer(client, b"\0", client.length):
                self._again[client] = None

    # What is not every day

    def _keep(self, client: Client, rest: bytes) -> None:
        """The client does not take its answers: keep the rest of this one, and give it no more until it has it."""
        client.out = rest
        self._epoll.modify(client.fd, _IN | select.EPOLLOUT)
        self._owes(client, True)

    def _owes(self, client: Client, owes: bool) -> None:
        if not owes:
            client.since = None
            self._slow.pop(client.fd, None)
        elif client.fd not in self._slow:
            client.since = self._now
            self._slow[client.fd] = client

    def _change(self, client: Client, mask: int) -> None:
        """An event that is more than new bytes."""
        if mask & _GONE:
            self.drop(client)
            return
        if mask & select.EPOLLRDHUP:
            client.ended = True
        if mask & select.EPOLLOUT and client.out and not self._flush(client):
            return
        self._read(client)

    def _flush(self, client: Client) -> bool:
        """Send what is left of an answer; whether the client goes on."""
        try:
            sent = client.send(client.out)
        except BlockingIOError:
            return False
        except OSError:
            self.drop(client)
            return False
        client.out = client.out[sent:]
        if client.out:
            return False
        self._epoll.modify(client.fd, _IN)
        self._owes(client, False)
        return True

    def sweep(self) -> None:
        """Close the connections of those who owe us something for too long. QEMU sends each command as a whole."""
        for client in [one for one in self._slow.values() if one.since and one.since < self._now - UNFINISHED]:
            self.protocol_errors += 1
            self._log.warning(
                "slow client",
                guest=client.peer.guest,
                why="does not take its answer" if client.out else "does not finish its command",
            )
            self.drop(client)

    def drop(self, client: Client) -> None:
        """Forget a client and close its connection."""
        if self.clients.get(client.fd) is not client:
            return
        del self.clients[client.fd]
        self._slow.pop(client.fd, None)
        client.asking = False
        client.listener.clients -= 1
        self.places.leave(client.peer.pid)
        self.tree.leave(client.flow)
        self._epoll.unregister(client.fd)
        with contextlib.suppress(OSError):  # it ends here, also where systemd keeps a copy
            client.sock.shutdown(socket.SHUT_RDWR)
        self._notifier.forget(client.name)
        client.sock.close()


def mix(data: bytes) -> None:
    """Stir bytes of a client into the kernel's pool. They are not counted as entropy, so they can do no harm."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
