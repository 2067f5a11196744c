# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets are open: those of the configuration, whatever happens to their directory.

A guest that connects while its socket is missing is not served, and one that has lost its connection may hang. So a
socket that cannot be opened is tried again and again, one whose path was taken away is opened anew, and one that
another process handed over is kept.
"""

from __future__ import annotations

import contextlib
import os.path
import socket
from typing import Any, Callable, Dict, List, Optional, Tuple

from .config import Config, ListenerConfig
from .listener import Listener, ListenError, open_socket, permit, remove
from .log import Log
from .notify import Notifier
from .peer import pid_of
from .server import Server

ACCEPTS = 64  # connections that are taken of a socket in one pass
SEND_BUFFER = 16384  # bytes of answers that the kernel keeps for a client; QEMU has at most 8 requests open


class Gates:
    """The listening sockets of a server, which take the connections for it."""

    def __init__(self, server: Server, notifier: Notifier, log: Log) -> None:
        self.listeners: Dict[str, Listener] = {}
        self._server = server
        self._notifier = notifier
        self._log = log
        self._config: Config
        self.refused = 0  # connections
        self._paused: List[Listener] = []
        self._former: Dict[str, Listener] = {}
        self._wanted: Dict[str, ListenerConfig] = {}

    def arrange(self, config: Config, given: Dict[str, socket.socket]) -> List[str]:
        """Open what a configuration asks for, and close the rest; what could not be opened, and why, is returned.

        :param given: open sockets by address; those that are used are taken out.
        """
        self._config = config
        self._wanted = {one.address: one for one in config.listeners}
        for address in [address for address in self.listeners if address not in self._wanted]:
            self._close(address)
        problems = []
        for address, wanted in self._wanted.items():
            open_one = self.listeners.get(address)
            if open_one is not None:
                open_one.class_name, open_one.guest = wanted.class_name, wanted.guest
                open_one.most_clients = config.clients_per_socket
            try:
                if open_one is None:
                    self._open(wanted, given.pop(address, None))
                if self.listeners[address].is_found():  # else look() opens it again
                    self._permit(address)
            except ListenError as error:
                problems.append(str(error))
        return problems

    def listener_of(self, address: str, class_name: str) -> Listener:
        """Where a connection came in. If that socket is configured no more, its class is kept."""
        listener = self.listeners.get(address)
        if listener is None:
            name = class_name or os.path.splitext(os.path.basename(address))[0] or address
            listener = self._former.setdefault(address, Listener(address, name, None, None, 0))
        return listener

    def look(self) -> None:
        """Open what is missing."""
        for address, wanted in self._wanted.items():
            listener = self.listeners.get(address)
            if listener is not None and listener.is_found():
                continue
            try:
                if listener is not None:
                    self._close(address, keep_path=True)
                self._open(wanted, None)
                self._permit(address)
            except ListenError as error:
                self._log.error("socket missing", socket=address, why=str(error))
            else:
                self._log.notice("socket opened again", socket=address)

    def _open(self, wanted: ListenerConfig, given: Optional[socket.socket]) -> None:
        sock = given or open_socket(wanted.address)
        most = self._config.clients_per_socket
        listener = self._former.pop(wanted.address, None)
        if listener is None:
            listener = Listener(wanted.address, wanted.class_name, sock, wanted.guest, most)
        else:  # those who came in there before count on
            listener.use(sock)
            listener.class_name, listener.guest, listener.most_clients = wanted.class_name, wanted.guest, most
        self.listeners[wanted.address] = listener
        self._watch(listener)
        self._notifier.store(listener.name, listener.fd, poll=False)

    def _permit(self, address: str) -> None:
        if not address.startswith("tcp://"):
            permit(address, self._config.socket_mode, self._config.socket_group)

    def _close(self, address: str, keep_path: bool = False) -> None:
        """Its clients stay."""
        listener = self.listeners.pop(address)
        self._server.unwatch(listener.fd)
        self._notifier.forget(listener.name)
        listener.use(None)
        if listener.clients:
            self._former[address] = listener
        if not keep_path:
            remove(address)

    def resume(self) -> None:
        """Try again to take connections where that failed."""
        paused, self._paused = self._paused, []
        for listener in paused:
            if self.listeners.get(listener.address) is listener:
                self._watch(listener)

    def _watch(self, listener: Listener) -> None:
        if listener.sock is not None:
            take = listener.sock.accept
            self._server.watch(listener.fd, lambda: self._accept(listener, take))

    def _accept(self, listener: Listener, take: Callable[[], Tuple[socket.socket, Any]]) -> None:
        """Take the connections that wait."""
        for dummy in range(ACCEPTS):
            try:
                sock = take()[0]
            except BlockingIOError:
                return
            except OSError as error:  # most likely no descriptor is left; who waits is not lost, so try again later
                self._log.error("accept failed", socket=listener.address, why=str(error.strerror))
                self._server.unwatch(listener.fd)
                self._paused.append(listener)
                return
            why = self._refusal(listener, sock)
            if why:
                self.refused += 1
                self._log.warning("refused", socket=listener.address, clients=listener.clients, why=why)
                sock.close()
                continue
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            try:
                client = self._server.adopt(sock, listener, listener.peer(sock))
            except OSError:  # it is gone again
                sock.close()
                continue
            self._notifier.store(client.name, client.fd)

    def _refusal(self, listener: Listener, sock: socket.socket) -> str:
        """Why a connection is not taken; empty when it is. The guest's name is not looked for: that costs more."""
        if len(self._server.clients) >= self._config.clients or listener.clients >= listener.most_clients:
            return "too many clients"
        pid = pid_of(sock)
        if self._server.places.held(pid) >= self._config.clients_per_process:
            return f"pid {pid} has too many connections"
        return ""
