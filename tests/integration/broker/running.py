# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker as a program in a directory of its own, guests of QEMU that draw from it, and a source that tests feed."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle
from integration.broker.supervisor import Supervisor
from integration.qemu.machine import Machine
from lab.images import ensure_images
from lab.process import PATIENCE, say, wait_for
from lab.qemu import AGENT

MODULE_UTILS = Path(__file__).parents[3] / "plugins" / "module_utils"
ENVIRON = {"PATH": "/usr/bin:/bin"}
REQUEST, SIZE = b"\x02\x40", 64  # what a Linux guest's QEMU sends


def take(client: socket.socket) -> bytes:
    """Ask as a guest does, and wait for the answer."""
    client.sendall(REQUEST)
    answer = client.recv(SIZE, socket.MSG_WAITALL)
    assert len(answer) == SIZE, "the connection was closed"
    return answer


class Broker:
    """Its files, and what it says on its control socket. It is started by ``supervised``, or by ``alone``."""

    def __init__(self, directory: Path, *classes: str, **settings: Any) -> None:
        self.run = directory / "run"
        self.program, self.config = directory / "virtrngd", directory / "virtrngd.json"
        self.program.write_text(bundle(MODULE_UTILS, "broker.main", "virtrngd", "0"))
        self.program.chmod(0o755)
        self.settings: dict[str, Any] = {
            "classes": [{"name": name, "sockets": [str(self.socket(name))]} for name in classes],
            "control": str(self.run / "control.sock"),
            "status_file": None,
            "clients_per_process": 4096,  # the tests are many clients in one process
            **settings,
        }
        self.configure()

    def socket(self, name: str) -> Path:
        """Of a class."""
        return self.run / f"{name}.sock"

    def configure(self, **settings: Any) -> None:
        self.settings.update(settings)
        self.config.write_text(json.dumps(self.settings))

    def limit(self, **limits: dict[str, Any]) -> None:
        """Give classes by name rates and ceilings, and the rest of them none."""
        kept = ("name", "sockets", "parent")
        plain = [{key: one[key] for key in kept if key in one} for one in self.settings["classes"]]
        self.configure(classes=[{**one, **limits.get(one["name"], {})} for one in plain])
        self.reload()

    @property
    def command(self) -> list[str | Path]:
        return [self.program, "--config", self.config]

    def supervised(self, **options: Any) -> Supervisor:
        """As a service of systemd, which keeps its connections. To be used with ``with``."""
        return Supervisor(self.command, ENVIRON, **options)

    def alone(self, log: Path, *prefix: str | Path) -> subprocess.Popen[bytes]:
        """Without anybody who keeps anything. To be used with ``with``, and killed before the end of it.

        :param prefix: a command that starts the program.
        """
        with log.open("ab") as errors:
            command = [*prefix, *self.command]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors, env=ENVIRON)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            return bool(self.answer("status"))

        try:
            wait_for("the broker to answer", answers)
        except BaseException:
            process.kill()
            process.wait(PATIENCE)
            raise
        return process

    # What it says

    def answer(self, command: str) -> dict[str, Any]:
        """To a command on the control socket; empty while nobody is there."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            try:
                control.connect(str(self.run / "control.sock"))
                control.sendall(json.dumps({"command": command}).encode() + b"\n")
                with control.makefile() as answers:
                    line = answers.readline()
            except OSError:
                return {}
        found: dict[str, Any] = json.loads(line) if line else {}
        return found

    def status(self) -> dict[str, Any]:
        found = self.answer("status")
        assert found.get("ok"), found
        status: dict[str, Any] = found["status"]
        return status

    def metrics(self) -> list[str]:
        return str(self.answer("metrics")["metrics"]).splitlines()

    def reload(self) -> None:
        answer = self.answer("reload")
        assert answer.get("ok"), answer
        assert answer["problems"] == []

    def one(self, name: str) -> dict[str, Any]:
        """What it says of a class."""
        return next(one for one in self.status()["classes"] if one["name"] == name)

    def source(self) -> dict[str, Any]:
        """What it says of the first source."""
        found: dict[str, Any] = self.status()["sources"][0]
        return found

    def connect(self, name: str) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.settimeout(PATIENCE)
            client.connect(str(self.socket(name)))
        except BaseException:
            client.close()
            raise
        return client


class Drawing(Machine):
    """A guest whose RNG is a socket of the broker."""

    def __init__(self, directory: Path, name: str, address: Path, *device: str) -> None:
        rng = ",".join(("virtio-rng-pci,id=vrng0,rng=rng0", *device))
        words = [
            *("-chardev", f"socket,id=egd0,path={address},reconnect=1"),
            *("-object", "rng-egd,id=rng0,chardev=egd0"),
            *("-device", rng, "-device", "virtio-serial-pci", *AGENT),
        ]
        # Others may run these tests at the same time, and the modules see all QEMUs of this machine.
        super().__init__(directory, ensure_images(False, say), f"{name}-{os.getpid()}", "pc", *words)
        self._reader = 0

    def __enter__(self) -> Drawing:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *dummy: object) -> None:
        self.stop()

    def read_on(self) -> None:
        """Let its system read /dev/hwrng until ``rest``, as a guest can ask for it: 64 bytes after the other."""
        if not self._reader:
            script = f"exec dd if=/dev/hwrng of=/dev/null bs={SIZE}"
            self._reader = int(self.agent("guest-exec", path="/bin/sh", arg=["-c", script])["pid"])

    def rest(self) -> None:
        """End that, also where it waits for bytes."""
        if self._reader:
            self.agent("guest-exec", path="/bin/kill", arg=["-9", str(self._reader)])
            wait_for("the end of the reader", lambda: self.agent("guest-exec-status", pid=self._reader)["exited"])
            self._reader = 0

    @property
    def drawn(self) -> int:
        """Bytes that its reader has got and passed on, by the guest's own count."""
        lines = self.read(f"/proc/{self._reader}/io").splitlines()
        return int(next(line for line in lines if line.startswith("wchar:")).split()[1])

    def at_rest(self) -> int:
        """What its reader has got when no more comes: its kernel asks for more before it passes on what has come."""
        before = -1
        while before != (now := self.drawn):
            before = now
        return now

    def goes_on(self, most: float = PATIENCE) -> None:
        """Return when its reader has got more than what may have been under way."""
        enough = self.drawn + 4 * SIZE
        wait_for(f"bytes for {self.name}", lambda: self.drawn >= enough, most)


def connections(address: Path) -> set[str]:
    """The broker's ends of those who are connected to its socket: a new connection is a new number."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {row[6] for row in rows if row[7:] == [str(address)] and row[5] == "03"}


class Line:
    """A source that gives what a test sends it: a pseudo-terminal, the only such device that can be made."""

    def __init__(self) -> None:
        self._write, self._keep = pty.openpty()
        tty.setraw(self._keep)
        os.set_blocking(self._write, False)
        self.path = os.ttyname(self._keep)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *dummy: object) -> None:
        self._dry_up()
        os.close(self._write)
        os.close(self._keep)

    def send(self, data: bytes) -> None:
        """Whenever there is room for it."""
        while data and not self._end.is_set():
            try:
                data = data[os.write(self._write, data) :]
            except BlockingIOError:
                self._end.wait(0.005)

    def flow(self, make: Callable[[int], bytes]) -> None:
        """Send without an end what this makes, from now on, and forget what was under way."""
        self._dry_up()
        termios.tcflush(self._keep, termios.TCIFLUSH)

        def run() -> None:
            while not self._end.is_set():
                self.send(make(256))

        self._thread = threading.Thread(target=run, name="line")
        self._thread.start()

    def _dry_up(self) -> None:
        self._end.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        self._end.clear()


@contextmanager
def upgraded(broker: Broker, supervisor: Supervisor) -> Iterator[None]:
    """Let it become the program that is installed: it begins with the block, and is over at its end."""
    before = broker.status()["restarts"]
    supervisor.kill(signal.SIGUSR2)
    yield
    wait_for("the new program", lambda: broker.answer("status").get("status", {}).get("restarts") == before + 1)


def upgrade(broker: Broker, supervisor: Supervisor) -> None:
    """The same, with nothing to do meanwhile."""
    with upgraded(broker, supervisor):
        pass
