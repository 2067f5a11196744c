# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon: what the configuration says, put around the loop; signals, commands, and the change of program.

Whatever goes wrong after the start is said in the log and survived: guests wait for answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import signal
import socket
import time
from collections import Counter
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..errors import RngError
from . import candidate, compiled, handover, status
from .client import Client
from .config import Config, parse
from .console import Console
from .control import Command, Connection
from .gates import Gates
from .listener import ListenError, store_name
from .log import Log
from .notify import Notifier
from .peer import Peer
from .pool import Pool
from .server import Server
from .status_file import write
from .tree import Tree

MOST_CONFIG = 1 << 20  # bytes
TICK = 1.0  # seconds between looks at what no event tells
PUBLISH = 5  # ticks between two writings of the status file
CHECK_SECONDS = 20.0  # that a new program has to show that it works


def read_config(path: str) -> Tuple[Config, str]:
    """The configuration in a file, and the SHA-256 of that file. Raises RngError."""
    try:
        with open(path, "rb") as file:
            found = file.read(MOST_CONFIG + 1)
        if len(found) > MOST_CONFIG:
            raise RngError(f"{path}: longer than {MOST_CONFIG} bytes")
        text = found.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RngError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        return parse(text), hashlib.sha256(found).hexdigest()
    except RngError as error:
        raise RngError(f"{path}: {error}") from error


class Daemon:
    """One broker, from its start until it stops or becomes another program.

    :param argv: the program as it was started, by which its next self is started, too.
    :raises RngError: when it cannot start.
    """

    def __init__(self, version: str, path: str, argv: List[str]) -> None:
        self._version = version
        self._path = path
        self._argv = argv
        self._log = Log()
        self._config, self._digest = read_config(path)
        self._notifier = Notifier(os.environ)
        state = handover.thaw(os.environ, self._complain)
        left = [(fd, "") for fd in state["fds"]] if state else []
        left += handover.inherited(os.environ, os.getpid())
        self._begin(state or {}, left)

    def _begin(self, state: Mapping[str, Any], left: List[Tuple[int, str]]) -> None:
        config = self._config
        self._started = float(state.get("started", time.time()))
        self._restarts = int(state.get("restarts", -1)) + 1
        self._stopping = False
        self._check: Optional[candidate.Check] = None
        self._asker: Optional[Connection] = None
        self._next_tick = 0.0
        self._ticks = 0
        self._unwritten = ""
        self._pool = _new_pool(config, base64.b64decode(state.get("leftover", "")))
        tree = Tree(config.classes, config.rate, time.monotonic(), state.get("levels"))
        self._server = Server(tree, self._pool, self._log, self._notifier, config.accept_entropy)
        self._server.protocol_errors = int(state.get("protocol_errors", 0))
        self._gates = Gates(self._server, self._notifier, self._log)
        self._gates.refused = int(state.get("refused", 0))
        listening, found = handover.sort(left, self._complain)
        problems = self._gates.arrange(config, listening)
        self._console = Console(config, self._commands(), self._server, self._notifier, self._log)
        try:
            self._console.open(listening.pop(config.control, None))
        except ListenError as error:
            problems.append(str(error))
        if problems and not found:
            raise ListenError("; ".join(problems))
        for problem in problems:  # those who are connected are served all the same
            self._log.error("socket missing", why=problem)
        for sock in listening.values():  # of sockets that are configured no more
            self._notifier.forget(store_name(handover.address(sock)))
            sock.close()
        self._take_over(found, state)
        self._server.watch(self._pool.fileno(), self._wake)
        if self._notifier:
            self._server.watch(self._notifier.fileno(), self._tell, select.EPOLLOUT | select.EPOLLET)
        self._catch_signals()

    # What another process left to us

    def _complain(self, why: str) -> None:
        self._log.warning("handover", why=why)

    def _take_over(self, found: List[handover.Left], state: Mapping[str, Any]) -> None:
        """Serve the connections that were left to us."""
        known: Mapping[str, Any] = state.get("clients", {})
        unstored = set(state.get("unstored", ()))
        asker = state.get("asker")
        for sock, name in found:
            if sock.fileno() == asker:
                self._answer_asker(sock)
                continue
            about = known.get(str(sock.fileno()), {})
            try:
                client = self._adopt(sock, name, about)
            except (AttributeError, KeyError, TypeError, ValueError) as error:  # another version knew other things
                self._complain(f"what is known of a connection is of no use: {error!r:.200}")
                client = self._adopt(sock, name, {})
            if client is not None and client.name in unstored:
                self._notifier.store(client.name, client.fd)

    def _adopt(self, sock: socket.socket, name: str, about: Mapping[str, Any]) -> Optional[Client]:
        listener = self._gates.listener_of(handover.address(sock), str(about.get("class", "")))
        try:
            peer = Peer(*about["peer"]) if about else listener.peer(sock)
        except OSError:  # it is gone
            sock.close()
            return None
        given, requests, waits = map(int, about.get("counters", (0, 0, 0)))
        out = base64.b64decode(about.get("out", ""))
        client = self._server.adopt(sock, listener, peer, str(about.get("name", name)), out)
        client.bytes, client.requests, client.waits = given, requests, waits
        return client

    def _answer_asker(self, sock: socket.socket) -> None:
        """Tell who asked for the new program that it runs."""
        try:
            sock.sendall(json.dumps({"ok": True, **self._identity()}).encode() + b"\n")
        except OSError:
            self._complain("nobody waits for the answer any more")
        sock.close()

    def _identity(self) -> Dict[str, Any]:
        return {"version": self._version, "pid": os.getpid(), "restarts": self._restarts}

    def _commands(self) -> Dict[str, Command]:
        return {
            "status": Command(lambda dummy: {"status": self._document()}),
            "metrics": Command(lambda dummy: {"metrics": status.openmetrics(self._document())}),
            "reload": Command(lambda dummy: self._reload(), privileged=True),
            "upgrade": Command(self._upgrade, privileged=True),
        }

    # While it runs

    def run(self) -> int:
        """Serve until a signal says that it is enough."""
        self._notifier.ready()
        self._log.info("serving", clients=len(self._server.clients), **self._identity())
        while not self._stopping:
            now = time.monotonic()
            self._server.turn(TICK if self._check is None else min(TICK, self._check.pause(now)))
            now = time.monotonic()
            if self._check is not None and self._check.silent:
                self._look_at_check(now)
            if now >= self._next_tick:
                self._next_tick = now + TICK
                self._tick(now)
        self._notifier.stopping()
        self._log.info("stopped", clients=len(self._server.clients))
        self._pool.close()
        return 0

    def _tick(self, now: float) -> None:
        self._ticks += 1
        self._notifier.watchdog(now)
        self._notifier.flush()
        self._server.sweep()
        self._gates.resume()
        self._gates.look()
        self._console.look()
        self._log.tick()
        self._look_at_check(now)
        if self._ticks % PUBLISH == 1:
            self._publish()

    def _wake(self) -> None:
        """The sources have something new."""
        for event in self._pool.wake():
            say = self._log.notice if event.kind == "serving" else self._log.error
            say("source", state=event.kind, source=event.source, message=event.message)

    def _tell(self) -> None:
        """systemd has room for more."""
        self._notifier.flush()

    def _publish(self) -> None:
        """Write the files that others read; what hinders that is said once."""
        document = self._document()
        reasons = []
        if self._config.status_file:
            reasons.append(write(self._config.status_file, status.encoded(document, status.FILE_LIMIT)))
        if self._config.metrics_file:
            reasons.append(write(self._config.metrics_file, status.openmetrics(document)))
        why = "; ".join(reason for reason in reasons if reason)
        if why and why != self._unwritten:
            self._log.warning("status not written", why=why)
        self._unwritten = why
        self._notifier.status(
            f"{document['clients']} clients, {sum(one['waiting'] for one in document['classes'])} waiting"
        )

    def _document(self) -> Dict[str, Any]:
        config, server = self._config, self._server
        daemon = status.DaemonState(
            *(self._version, os.getpid(), self._started, self._restarts, config.rate),
            *(self._gates.refused, server.protocol_errors, self._digest),
        )
        clients = [
            status.ClientState(
                *(one.peer.guest, one.listener.class_name, one.peer.pid, one.peer.uid),
                *(one.bytes, one.requests, one.waits, one.asked if one.asking else None),
            )
            for one in server.clients.values()
        ]
        return status.document(daemon, self._pool.status(), self._classes(), clients, time.time(), time.monotonic())

    def _classes(self) -> List[status.ClassState]:
        connected = Counter(client.listener.class_name for client in self._server.clients.values())
        sockets: Dict[str, List[str]] = {}
        for listener in self._gates.listeners.values():
            sockets.setdefault(listener.class_name, []).append(listener.address)
        return [
            status.ClassState(
                *(one.name, one.parent, int(one.rate), one.ceil, one.burst, one.priority),
                *(connected[name], one.waiting, one.bytes, one.requests, one.waits, one.borrowed),
                tuple(sockets.get(name, ())),
            )
            for name, one in self._server.tree.classes.items()
        ]

    # Signals and commands

    def _catch_signals(self) -> None:
        receiver, sender = socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)
        self._signals = (receiver, sender)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number in handover.SIGNALS:
            signal.signal(number, lambda *dummy: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        handover.release()
        self._server.watch(receiver.fileno(), self._signalled)

    def _signalled(self) -> None:
        for number in self._signals[0].recv(64):
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stopping = True
            elif number == signal.SIGHUP:
                self._try("reload", self._reload)
            elif number == signal.SIGUSR2:
                self._try("upgrade", self._upgrade)

    def _try(self, what: str, action: Callable[[], Any]) -> None:
        try:
            action()
        except RngError as error:
            self._log.error(f"{what} failed", why=str(error))
        except Exception as error:  # noqa: BLE001 - guests are not to suffer from what an operator asks for
            self._log.error(f"{what} failed", why=f"a fault of this program: {type(error).__name__}: {error}")

    def _reload(self) -> Dict[str, Any]:
        """Read the configuration again. What is wrong with it raises, and all stays as it is."""
        config, digest = read_config(self._path)
        old, self._config = self._config, config
        server = self._server
        server.accept_entropy = config.accept_entropy
        problems = self._gates.arrange(config, {}) + self._console.arrange(config)
        for client in server.clients.values():  # its socket may be of another class now
            client.flow.class_name = client.listener.class_name
        server.tree.replace(config.classes, config.rate, time.monotonic())
        if _source_settings(config) != _source_settings(old):
            self._change_pool(config)
        else:
            self._pool.retry()
        self._digest = digest  # last: after a fault it is to be loaded again
        self._log.notice("reloaded", classes=len(config.classes), problems=problems)
        return {"classes": len(config.classes), "problems": problems, **self._identity()}

    def _change_pool(self, config: Config) -> None:
        old, new = self._pool, _new_pool(config, self._pool.leftover())
        self._server.unwatch(old.fileno())
        self._pool = self._server.pool = new
        old.close()
        self._server.watch(self._pool.fileno(), self._wake)

    def _upgrade(self, asker: Optional[Connection] = None) -> None:
        """Become the program that is installed now, once a child of it has shown that it works."""
        if self._check is not None:
            raise RngError("an upgrade is under way already")
        self._check = candidate.check(self._argv, CHECK_SECONDS)
        self._asker = asker
        self._watch_check(self._check)

    def _watch_check(self, check: candidate.Check) -> None:
        self._server.watch(check.fileno(), lambda: self._look_at_check(time.monotonic()))

    def _look_at_check(self, now: float) -> None:
        check = self._check
        if check is None:
            return
        self._server.unwatch(check.fileno())
        outcome = check.poll(now)
        if outcome is None:
            if not check.silent:  # else it is about to end, and readable for ever
                self._watch_check(check)
            return
        self._check = None
        why = outcome.why
        if outcome.sound:
            try:
                self._become(outcome.left)
            except RngError as error:  # whoever returns from there is still the old program
                why = str(error)
        self._log.error("upgrade failed", why=why)
        if self._asker is not None:
            self._asker.refuse(f"{why}; the program that runs goes on")
            self._asker = None

    def _become(self, code: int) -> None:
        """Turn into the program that is installed now, which finds its code compiled. Returns only by an error."""
        self._log.notice("upgrading", clients=len(self._server.clients), version=self._version)
        self._notifier.flush()
        clients = self._server.clients
        asker = self._asker.sock.fileno() if self._asker is not None and not self._asker.closed else -1
        state = {
            "started": self._started,
            "restarts": self._restarts,
            "refused": self._gates.refused,
            "protocol_errors": self._server.protocol_errors,
            "leftover": base64.b64encode(self._pool.leftover()).decode(),
            "levels": self._server.tree.levels(),
            "clients": {str(one.fd): one.state() for one in clients.values()},
            "asker": asker,
            "unstored": self._notifier.unstored(),
        }
        listening = [one.fd for one in self._gates.listeners.values()]
        descriptors = [*listening, *self._console.descriptors(), *clients, *([asker] if asker >= 0 else [])]
        with compiled.passed(code) as variables:
            handover.reexec(self._argv, {**os.environ, **variables}, state, descriptors, self._caught)

    def _caught(self) -> bytes:
        """The signals that nobody has acted on."""
        try:
            return self._signals[0].recv(64)
        except BlockingIOError:
            return b""


def _source_settings(config: Config) -> Tuple[Any, ...]:
    return config.sources, config.when_failing, config.conditioning


def _new_pool(config: Config, leftover: bytes = b"") -> Pool:
    """Its threads take no signals: what one of them had just before an exec would be lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return Pool(config.sources, config.when_failing, config.conditioning, leftover)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
