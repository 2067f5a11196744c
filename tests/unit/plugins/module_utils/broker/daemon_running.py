# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon of its own for a test: the whole program, started as on a host."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle

PATIENCE = 60.0
MODULE_UTILS = Path(__file__).resolve().parents[5] / "plugins" / "module_utils"

# As systemd gives a service the sockets that it kept: numbered from 3 on. The arguments are numbers, and the command.
GIVE = """
import os, sys
for number, descriptor in enumerate(sorted(map(int, sys.argv[1].split(","))), 3):
    os.dup2(descriptor, number)
    os.set_inheritable(number, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(number - 2))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def eventually(what: str, check: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.02)


class Running:
    """A daemon in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.program = directory / "virtrngd"
        self.install("1.0")
        self.program.with_name("virtrngctl").symlink_to(self.program)
        self.settings: dict[str, Any] = {
            "classes": [{"name": name, "sockets": [str(directory / f"{name}.sock")]} for name in ("gold", "silver")],
            "control": str(directory / "control.sock"),
            "status_file": str(directory / "status.json"),
            "metrics_file": str(directory / "metrics.txt"),
        }
        self.configure()
        self._process: subprocess.Popen[bytes] | None = None

    def install(self, version: str) -> None:
        text = bundle(MODULE_UTILS, "broker.main", "virtrngd", version)
        fresh = self.program.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def configure(self, **changes: Any) -> None:
        self.settings.update(changes)
        (self.directory / "c.json").write_text(json.dumps(self.settings))

    def start(self, given: Sequence[int] = ()) -> Running:
        """Start it with some descriptors that another left."""
        command: list[str | Path] = ["/usr/bin/env", "python3", "-I", self.program, "--config", "c.json"]
        if given:
            command = [sys.executable, "-c", GIVE, ",".join(map(str, given)), *command]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stderr=log, pass_fds=given
            )
        try:
            eventually("the daemon answers", lambda: bool(self.status()))
        except BaseException:
            print((self.directory / "log").read_text(), self.ctl("status"))  # pytest shows it
            self.stop()
            raise
        return self

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / "log").read_text().splitlines()]

    def has_logged(self, event: str) -> bool:
        return any(line["event"] == event for line in self.log)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.program.with_name("virtrngctl"), "--socket", self.directory / "control.sock", *words]
        return subprocess.run(
            ["/usr/bin/env", "python3", "-I", *command], capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def status(self) -> dict[str, Any]:
        """What it answers on its control socket; empty while it does not."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            try:
                control.connect(str(self.directory / "control.sock"))
                control.sendall(b'{"command": "status"}\n')
                with control.makefile() as answers:
                    found: dict[str, Any] = json.loads(answers.readline())["status"]
            except OSError:  # also when it becomes another program in between
                return {}
        return found

    def connect(self, name: str) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(self.directory / f"{name}.sock"))
        return client

    def stop(self) -> int | None:
        if self._process is None:
            return None
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def take(client: socket.socket, size: int = 64) -> bytes:
    client.sendall(bytes([2, size]))
    got = b""
    while len(got) < size:
        more = client.recv(size - len(got))
        assert more, "the connection was closed"
        got += more
    return got
