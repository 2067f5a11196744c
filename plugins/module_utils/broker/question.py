# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to the daemon over its control socket, and its answers."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import stat
import time
from typing import Any, Dict, Optional

from ..errors import RngError
from ..text import printable

SOCKET = "/run/virtrngd/control.sock"
PATIENCE = 10.0  # seconds for an answer
MOST_ANSWER = 64 * 1024 * 1024  # bytes
REPLACED = 10.0  # seconds in which one that ended without an answer, as it does when it is replaced, may be back
ABSENT = 1.0  # seconds for one that was not there at first
PAUSE = 0.1


class UnansweredError(RngError):
    """There is no answer, and somebody may be there in a moment. ``ended``: somebody was, and left."""

    def __init__(self, message: str, ended: bool) -> None:
        super().__init__(message)
        self.ended = ended


def ask_again(path: str, command: str, replaced: float = REPLACED) -> Dict[str, Any]:
    """As ``ask``, also while the daemon becomes another program or is started again: for commands that may run twice.

    A connection to the control socket is lost when the daemon becomes another program, unlike those of guests.

    :param replaced: seconds that it may take for that.
    """
    start = time.monotonic()
    patience = min(ABSENT, replaced)
    while True:
        try:
            return ask(path, command)
        except UnansweredError as error:
            if error.ended:
                patience = replaced
            if time.monotonic() - start >= patience:
                raise
        time.sleep(PAUSE)


def ask(path: str, command: str, patience: float = PATIENCE) -> Dict[str, Any]:
    """The answer to a command.

    :raises RngError: when nobody answers, or that it did not work.
    """
    with Question(path, command, patience) as question:
        answer = question.answer()
    if answer is None:
        raise UnansweredError(f"{path}: virtrngd ended without an answer; its log says why", ended=True)
    return answer


class Question:
    """A command, and the answers to it: one line each, until the daemon ends the connection."""

    def __init__(self, path: str, command: str, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._rest = b""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(patience)
        try:
            self._sock.connect(path)
        except (OSError, ValueError) as error:
            self._sock.close()
            why = f"nobody answers at {path}: {_why(path, error)}"
            if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
                raise UnansweredError(why, ended=False) from error
            raise RngError(why) from error
        try:
            self._sock.sendall(json.dumps({"command": command}).encode() + b"\n")
        except OSError:
            pass  # it may have answered before it asked, that there are too many

    def __enter__(self) -> Question:
        return self

    def __exit__(self, *dummy: object) -> None:
        self._sock.close()

    def answer(self) -> Optional[Dict[str, Any]]:
        """The next answer; None when there is no other.

        :raises RngError: when it says that something did not work, or does not come in time.
        """
        line = self._line()
        if line is None:
            return None
        try:
            answer = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise RngError(f"what answers at {self._path} is no virtrngd")
        if not answer["ok"]:
            raise RngError(printable(str(answer.get("error") or "it did not work, and does not say why"), 2000))
        return answer

    def _line(self) -> Optional[bytes]:
        until = time.monotonic() + self._patience
        pieces = [self._rest]
        size = 0
        while b"\n" not in pieces[-1]:
            left = until - time.monotonic()
            try:
                self._sock.settimeout(max(left, 0.001))
                data = self._sock.recv(1 << 18)
            except socket.timeout as error:
                raise RngError(
                    f"virtrngd does not answer at {self._path} within {self._patience:g} seconds; does it hang?"
                ) from error
            except OSError:
                data = b""
            size += len(data)
            if not data or size > MOST_ANSWER:
                return None
            pieces.append(data)
        line, dummy, self._rest = b"".join(pieces).partition(b"\n")
        return line


def _why(path: str, error: Exception) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "there is no such socket; is virtrngd running?"
    if isinstance(error, ConnectionRefusedError):
        return "the socket is there, and nobody listens; is virtrngd running?"
    if isinstance(error, PermissionError):
        return f"user {_user()} may not connect; {_who_may(path)}"
    if isinstance(error, (socket.timeout, BlockingIOError)):
        return "virtrngd does not take the connection; does it hang?"
    return str(getattr(error, "strerror", None) or error)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _who_may(path: str) -> str:
    try:
        status = os.stat(path)
        if status.st_mode & stat.S_IWGRP:
            return f"root may, and so may group {grp.getgrgid(status.st_gid).gr_name}"
    except (OSError, KeyError):
        pass  # not even that is to be seen
    return "root may"
