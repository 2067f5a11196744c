# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the control socket is, whatever happens to its directory: nobody else can tell how the guests fare."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import List, Mapping, Optional

from .config import Config
from .control import Command, Control
from .listener import Listener, ListenError, open_socket, permit
from .log import Log
from .notify import Notifier
from .server import Server


class Console:
    """The control socket of a server.

    :param config: its path, and who may use it.
    :param commands: what can be asked for, by name.
    """

    def __init__(
        self, config: Config, commands: Mapping[str, Command], server: Server, notifier: Notifier, log: Log
    ) -> None:
        self._config = config
        self._commands = commands
        self._server = server
        self._notifier = notifier
        self._log = log
        self._listener: Optional[Listener] = None
        self._control: Optional[Control] = None

    def open(self, given: Optional[socket.socket] = None) -> None:
        """Raises ListenError; ``look`` tries again.

        :param given: an open socket. If its path is gone, the next ``look`` opens another.
        """
        path = self._config.control
        sock = given or open_socket(path)
        listener = Listener(path, "", sock, None, 0)
        if given is None or listener.is_found():
            try:
                self._permit()
            except ListenError:
                sock.close()
                raise
        self._listener = listener
        self._notifier.store(listener.name, listener.fd, poll=False)
        if self._control is None:
            self._control = Control(sock, self._commands, self._server.watch, self._server.unwatch)
        else:
            self._control.listen(sock)

    def arrange(self, config: Config) -> List[str]:
        """Let those ask whom another configuration allows; what of it could not be done, and why, is returned."""
        path = self._config.control
        self._config = replace(config, control=path)
        problems = []
        if config.control != path:
            problems.append(f"control {config.control}: a new path needs an upgrade or a restart")
        if self._listener is not None and self._listener.is_found():  # else look() opens it again
            try:
                self._permit()
            except ListenError as error:
                problems.append(str(error))
        return problems

    def look(self) -> None:
        """Open it again if its path was taken away, and end what takes too long. Who is being answered stays."""
        if self._control is not None:
            self._control.sweep()
        listener = self._listener
        if listener is not None and listener.is_found():
            return
        if self._control is not None and listener is not None and listener.sock is not None:
            self._control.listen(None)
            self._notifier.forget(listener.name)
            listener.sock.close()
            self._listener = None
        try:
            self.open()
        except ListenError as error:
            self._log.error("socket missing", socket=self._config.control, why=str(error))
        else:
            self._log.notice("socket opened again", socket=self._config.control)

    def _permit(self) -> None:
        permit(self._config.control, self._config.control_mode, self._config.control_group)

    def descriptors(self) -> List[int]:
        """What another process has to be given."""
        return [] if self._listener is None else [self._listener.fd]
