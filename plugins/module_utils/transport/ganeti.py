# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The master of a Ganeti cluster: questions over its socket, changes through its own command.

``gnt-instance list`` prints values between separators, and ``kvm_extra`` may hold any of them. So the questions go
where the command itself asks them: to the socket of the master's daemon (LUXI), which answers JSON. Changes go through
``gnt-instance``, which checks them; the job that it submits is then watched over the socket.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from typing import Any, List, Sequence

from ..errors import GuestError, HypervisorError
from ..text import printable
from .command import bounded_run

SOCKETS = tuple(
    f"{run}/ganeti/socket/ganeti-query" for run in ("/run", "/var/run", "/usr/local/var/run", "/opt/ganeti/var/run")
)
_MASTER_FILES = ("/var/lib/ganeti/ssconf_master_node", "/usr/local/var/lib/ganeti/ssconf_master_node")
SECONDS = 60.0  # one question; the master asks its nodes, and waits for one that is down
MAX_ANSWER = 64 * 1024 * 1024  # an instance has about 3 KiB
_MAX_COMMAND_LINE = 1024 * 1024
_END = b"\3"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Master:
    """The daemon and the command. It has no state, so threads may share it."""

    def __init__(self, seconds: float = SECONDS, limit: int = MAX_ANSWER) -> None:
        self.seconds, self.limit = seconds, limit

    def cluster(self) -> Any:
        return self._ask("QueryClusterInfo", [])

    def instances(self, fields: Sequence[str], uuid: str = "") -> Any:
        """All of them, or the one with this UUID."""
        return self._ask("Query", ["instance", list(fields), ["=", "uuid", uuid] if uuid else None])

    def modify(self, name: str, parameters: str) -> str:
        """Submit a job that changes an instance, and answer what the command prints.

        :param parameters: as ``-H`` takes them.
        :raises GuestError: with Ganeti's reason.
        """
        if "\0" in parameters:
            raise GuestError("one of its parameters has a NUL character, which no command can pass on")
        return self._command(["modify", "--submit", "-H", parameters, "--", name])

    def reboot(self, name: str, seconds: int) -> str:
        """Submit a job that ends a running instance and starts it with its parameters of now.

        :param seconds: how long it has to shut down. After that Ganeti pulls its plug.
        """
        return self._command(["reboot", "--submit", "--type=hard", f"--shutdown-timeout={seconds}", "--", name])

    def start(self, name: str) -> str:
        """Submit a job that starts an instance."""
        return self._command(["startup", "--submit", "--", name])

    def unfinished(self) -> Any:
        """The jobs that have not ended: what they do."""
        states = [["=", "status", status] for status in ("queued", "waiting", "running", "canceling")]
        return self._ask("Query", ["job", ["summary"], ["|", *states]])

    def job(self, number: int) -> Any:
        """What became of a job: its status and results."""
        return self._ask("QueryJobs", [[number], ["status", "opresult"]])

    def cancel(self, number: int) -> Any:
        """Take a job back that waits; one that runs cannot be."""
        return self._ask("CancelJob", [number])

    def _ask(self, method: str, arguments: Sequence[Any]) -> Any:
        until = time.monotonic() + self.seconds
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.seconds)
                connection.connect(_find_socket())
                connection.sendall(json.dumps({"method": method, "args": arguments}).encode("utf-8") + _END)
                answer = self._receive(connection, until)
        except socket.timeout as error:
            raise HypervisorError(f"Ganeti's master did not answer within {self.seconds:g} seconds") from error
        except PermissionError as error:
            raise HypervisorError("only root may ask Ganeti's master: become root for that") from error
        except OSError as error:
            raise HypervisorError(f"Ganeti's master (ganeti-luxid) is not to be reached: {error}") from error
        return _result(answer)

    def _receive(self, connection: socket.socket, until: float) -> bytes:
        answer = bytearray()
        while not answer.endswith(_END):
            left = until - time.monotonic()
            if left <= 0:
                raise socket.timeout
            connection.settimeout(left)
            part = connection.recv(1024 * 1024)
            if not part:
                raise HypervisorError("Ganeti's master hung up")
            answer += part
            if len(answer) > self.limit:
                raise HypervisorError(f"Ganeti's master answered more than {self.limit} bytes")
        return bytes(answer[:-1])

    def _command(self, arguments: List[str]) -> str:
        path = os.environ.get("PATH") or _PATH
        program = shutil.which("gnt-instance", path=path) or shutil.which("gnt-instance", path=_PATH)
        if program is None:
            raise HypervisorError("there is no gnt-instance here")
        code, answer, errors = bounded_run([program, *arguments], self.seconds)
        output = answer.decode("utf-8", "replace")
        if code != 0:
            said = printable("; ".join((errors.strip() or output.strip()).splitlines()), 300)
            raise GuestError(f"gnt-instance: {said or f'exit code {code}'}")
        return f"{output}\n{errors}"  # the number of the job is in the latter, with what people should know


def command_line(pid: int) -> List[str]:
    """The words of a process; none when it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
            return file.read(_MAX_COMMAND_LINE).split("\0")[:-1]
    except OSError:
        return []


def _find_socket() -> str:
    """Only the master has one.

    :raises HypervisorError: saying who is the master.
    """
    for path in SOCKETS:
        if os.path.exists(path):
            return path
    for path in _MASTER_FILES:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                master = printable(file.read(256).strip(), 100)
        except OSError:
            continue
        if master != socket.gethostname():
            raise HypervisorError(f"this node is not the master of its Ganeti cluster: {master} is, run it there")
        raise HypervisorError("this node is the master of a Ganeti cluster, but its ganeti-luxid does not run")
    raise HypervisorError("there is no Ganeti cluster here")


def _result(answer: bytes) -> Any:
    try:
        told = json.loads(answer.decode("utf-8"))
        success, result = told["success"], told["result"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise HypervisorError("the answer of Ganeti's master cannot be understood") from error
    if success is not True:
        raise HypervisorError(f"Ganeti's master refuses: {printable(json.dumps(result), 300)}")
    return result
