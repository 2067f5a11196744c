# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's side of a service, for tests where none runs: it listens to the service, keeps its sockets, restarts it.

As systemd has it: only the main process is listened to; a socket that it has already is not stored again; what has hung
up is dropped; a new process gets what is stored from descriptor 3 on, with the names; one that gives no sign of life in
time is ended with SIGABRT.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from lab.process import PATIENCE, wait_for

CREDENTIALS = struct.Struct("iII")
MOST_FDS = 253  # of one message: SCM_MAX_FD
PAUSE = 0.1  # seconds before a restart
TERM_TIMEOUT = 20.0  # seconds from SIGTERM to SIGKILL

# What a process does between fork and exec, in a process of its own, since threads run here.
_STARTER = """\
import fcntl, json, os, sys
given, argv = json.loads(sys.argv[1]), sys.argv[2:]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + len(given)) for fd in given]
for number, fd in enumerate(high, 3):
    os.dup2(fd, number)
os.environ.update(dict.fromkeys(filter(os.environ.__contains__, ("LISTEN_PID", "WATCHDOG_PID")), str(os.getpid())))
for fd in given:
    if fd >= 3 + len(given):
        os.close(fd)
os.execve(argv[0], argv, os.environ)
"""


class Supervisor:
    """Runs one program until it is stopped. To be used with ``with``.

    :param argv: the program, by its whole path.
    :param environ: of the program; NOTIFY_SOCKET and the like are added.
    :param most: how many descriptors are stored at most (FileDescriptorStoreMax).
    :param watchdog: seconds without a sign of life after which the program is ended.
    :param sockets: listening sockets by name, given to each process before those that are stored, as of socket units.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        environ: Mapping[str, str],
        *,
        most: int = 4096,
        watchdog: float | None = None,
        sockets: Mapping[str, socket.socket] | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.most = most
        self.watchdog = watchdog
        self.sockets = dict(sockets or {})
        self.ready = self.stopping = self.reloading = False
        self.status = ""
        self.starts = 0
        self.signs = 0  # of life, of this process
        self.refused = 0  # descriptors for which the store had no room
        self.exit_codes: list[int] = []  # of processes that have ended, as subprocess has them
        self.faults: list[str] = []  # messages that systemd would not understand
        self._environ = dict(environ)
        self._stored: dict[int, str] = {}  # the name of each descriptor
        self._inodes: dict[int, int] = {}
        self._directory = tempfile.TemporaryDirectory(prefix="fleet-rng-supervisor-")
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = ""
        self._held = self._ended = self._deaf = False
        self._due = self._alive = 0.0
        self._lock = threading.RLock()
        self._epoll = select.epoll()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._notify.setblocking(False)
        self._notify.bind(f"{self._directory.name}/notify")
        self._epoll.register(self._notify, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def __enter__(self) -> Supervisor:
        self._thread.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What tests ask and do

    @property
    def pid(self) -> int:
        """Of the process that runs; 0 when there is none."""
        with self._lock:
            return self._process.pid if self._process else 0

    @property
    def store(self) -> list[str]:
        """The names of what is stored, in order."""
        with self._lock:
            return list(self._stored.values())

    @property
    def errors(self) -> str:
        """What all processes wrote to their standard error."""
        path = Path(self._directory.name, "stderr")
        return path.read_text(errors="replace") if path.exists() else self._errors

    def wait_ready(self, starts: int = 1) -> None:
        """Return when that many processes have been started, and the last of them is ready."""

        ended = len(self.exit_codes)

        def there() -> bool:
            assert self._thread.is_alive(), "the supervisor ended"
            assert len(self.exit_codes) < ended + 10, f"it does not start: {self.errors}"
            return self.starts >= starts and self.ready

        wait_for(f"{self.argv[0]} to be ready", there)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the process a signal: never to one that took its number."""
        with self._lock:
            assert self._process, "nothing runs"
            self._process.send_signal(number)

    def crash(self) -> None:
        """kill -9; return when the next process is ready."""
        before = self.starts
        self.kill()
        self.wait_ready(before + 1)

    @contextmanager
    def down(self) -> Iterator[None]:
        """kill -9, and no restart before the end of the block."""
        before = self.starts
        self._held = True
        self.kill()
        wait_for("the end of the process", lambda: not self.pid)
        yield
        self._held = False
        self.wait_ready(before + 1)

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Do not listen to the process, as a systemd does that is busy: after a few messages it takes no more."""
        with self._lock:
            self._deaf = True
            self._epoll.modify(self._notify, 0)
        yield
        with self._lock:
            self._deaf = False
            self._alive = time.monotonic()  # what it said meanwhile is not heard yet
            self._epoll.modify(self._notify, select.EPOLLIN)

    def stop(self) -> None:
        """End the process as systemd stops a service, and forget what is stored."""
        with self._lock:
            self._ended = True
            if self._process:
                self._process.terminate()
                self._due = time.monotonic() + TERM_TIMEOUT
        if self._thread.ident:
            self._thread.join(PATIENCE)
        for fd in list(self._stored):
            self._drop(fd)
        self._errors = self.errors
        self._notify.close()
        self._epoll.close()
        self._directory.cleanup()

    # Its own thread

    def _run(self) -> None:
        while True:
            with self._lock:
                self._look_after()
                if self._ended and not self._process:
                    return
            for fd, mask in self._epoll.poll(0.02):
                with self._lock:
                    if fd == self._notify.fileno():
                        self._listen()
                    elif mask & (select.EPOLLHUP | select.EPOLLERR) and fd in self._stored and _hung_up(fd):
                        self._drop(fd)

    def _look_after(self) -> None:
        now = time.monotonic()
        if self._process:
            code = self._process.poll()
            if code is not None:
                self._listen()  # its last words, before it is forgotten whose they are
                self.exit_codes.append(code)
                self._process = None
                self.ready = False
                self._due = now + PAUSE
            elif self._ended and now > self._due:
                self._process.kill()
            elif self.watchdog and self.ready and not self._deaf and now > self._alive + self.watchdog:
                self._listen()  # it may be this thread that is late
                if now > self._alive + self.watchdog:
                    self._process.send_signal(signal.SIGABRT)
                    self._process.send_signal(signal.SIGCONT)  # it may hang because somebody stopped it
                    self._alive = now + TERM_TIMEOUT
        elif not self._held and not self._ended and now >= self._due:
            self._start()

    def _start(self) -> None:
        given = [(one.fileno(), name) for name, one in self.sockets.items()] + list(self._stored.items())
        environ = {**self._environ, "NOTIFY_SOCKET": self._notify.getsockname()}
        if given:
            environ["LISTEN_FDS"] = str(len(given))
            environ["LISTEN_FDNAMES"] = ":".join(name for dummy, name in given)
            environ["LISTEN_PID"] = ""
        if self.watchdog:
            environ |= {"WATCHDOG_USEC": str(int(self.watchdog * 1e6)), "WATCHDOG_PID": ""}
        fds = [fd for fd, dummy in given]
        self.ready = self.stopping = self.reloading = False
        self.status = ""
        self.signs = 0
        with Path(self._directory.name, "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", _STARTER, str(fds), *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=environ,
                pass_fds=fds,
            )
        self.starts += 1

    def _listen(self) -> None:
        room = socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(4 * MOST_FDS)
        while True:
            try:
                data, extra, dummy_flags, dummy_address = self._notify.recvmsg(4096, room, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            sender, fds = self._unpack(extra)
            if self._process and sender == self._process.pid:
                self._heed(data.decode(), fds)
            for fd in fds:
                if fd not in self._stored:
                    os.close(fd)

    @staticmethod
    def _unpack(extra: list[tuple[int, int, bytes]]) -> tuple[int, list[int]]:
        sender, fds = 0, array.array("i")
        for dummy, kind, data in extra:
            if kind == socket.SCM_CREDENTIALS:
                sender = CREDENTIALS.unpack(data)[0]
            elif kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        return sender, list(fds)

    def _heed(self, text: str, fds: list[int]) -> None:
        said: dict[str, Any] = {}
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if not equals:
                self.faults.append(text)
            said[name] = value
        name = said.get("FDNAME", "stored")
        if "READY" in said:
            self.ready, self.reloading = True, False
            self._alive = time.monotonic()  # from now on signs of life are waited for
        self.reloading |= "RELOADING" in said
        self.stopping |= "STOPPING" in said
        self.status = said.get("STATUS", self.status)
        if said.get("WATCHDOG") == "1":
            self.signs += 1
            self._alive = time.monotonic()
        if "FDSTOREREMOVE" in said:
            for fd in [fd for fd, its in self._stored.items() if its == name]:
                self._drop(fd)
        elif "FDSTORE" in said:
            for fd in fds:
                self._keep(fd, name, said.get("FDPOLL") != "0")
        if {"RELOADING", "FDSTORE"} & set(said) and not (fds or "MONOTONIC_USEC" in said):
            self.faults.append(text)

    def _keep(self, fd: int, name: str, poll: bool) -> None:
        inode = os.fstat(fd).st_ino
        if inode in self._inodes.values():
            return
        if len(self._stored) >= self.most:
            self.refused += 1
            return
        self._stored[fd] = name
        self._inodes[fd] = inode
        if poll:
            self._epoll.register(fd, 0)  # errors and hang-ups are always told

    def _drop(self, fd: int) -> None:
        del self._stored[fd], self._inodes[fd]
        try:
            self._epoll.unregister(fd)
        except OSError:
            pass  # it was not watched
        os.close(fd)


def _hung_up(fd: int) -> bool:
    """Whether it still has: its number may have gone to another socket since that was told."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))
