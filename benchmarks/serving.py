# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that are measured, the broker among them, and what asks them for random bytes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import BenchmarkError

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "benchmarks/broker"
sys.path.insert(0, str(ROOT / ".collections"))
os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))

PATIENCE = 60.0  # seconds; only what hangs takes longer
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE") // 1024  # KiB


def build(work: Path) -> None:
    """Compile the tools, and make the broker's program out of the collection, all into ``work``."""
    from ansible_collections.fleet.rng.plugins.lookup.broker_program import PROGRAM
    from ansible_collections.fleet.rng.plugins.plugin_utils.programs import text_of

    for name in ("load", "server"):
        command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(work / name), str(SOURCES / f"{name}.c")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise BenchmarkError("cc: not found; install a C compiler") from error
        if done.returncode:
            raise BenchmarkError(f"{name}.c: {done.stderr.strip()[-2000:]}")
    program = work / "virtrngd"
    program.write_text(text_of(PROGRAM, [], {})[0])
    program.chmod(0o755)


class Server:
    """A server that runs until it is stopped, and the socket that shows that it does."""

    def __init__(self, work: Path, name: str, command: Sequence[str | Path], path: Path) -> None:
        self.name = name
        self.path = path
        self._said = work / f"{name}.log"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        self.pid = self._process.pid
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise BenchmarkError(f"{name} does not serve: {self.said()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.path))
                client.sendall(b"\x02\x10")
                return len(client.recv(16)) == 16
            except OSError:
                return False

    def said(self) -> str:
        """The end of what it wrote."""
        return self._said.read_text(errors="replace").strip()[-1000:]

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_of(self.pid)

    def resident(self) -> int:
        """KiB of memory that it has."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE

    def stop(self) -> None:
        """End it; an error where it had ended by itself."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        elif self._process.returncode:
            raise BenchmarkError(f"{self.name} ended with {self._process.returncode}: {self.said()}")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.stop()


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a process, in user space and in the kernel, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def bare_c(work: Path, path: Path) -> Server:
    """The least that a server can do, in C."""
    return Server(work, "c", [work / "server", path], path)


def bare_asyncio(work: Path, path: Path) -> Server:
    """The least that a server can do, with asyncio."""
    return Server(work, "asyncio", [sys.executable, SOURCES / "bare_asyncio.py", path], path)


class Broker(Server):
    """virtrngd, with a socket of each leaf in ``work``, or where ``places`` says; ``keys`` are of its configuration."""

    def __init__(
        self,
        work: Path,
        classes: Sequence[Mapping[str, Any]],
        name: str = "virtrngd",
        places: Mapping[str, Path] | None = None,
        **keys: Any,
    ) -> None:
        parents = {one.get("parent") for one in classes}
        leaves = [one["name"] for one in classes if one["name"] not in parents]
        self.sockets = {leaf: (places or {}).get(leaf, work / f"{name}-{leaf}.sock") for leaf in leaves}
        self._control = work / f"{name}-control.sock"
        config = {
            "classes": [
                {**one, **({"sockets": [str(self.sockets[one["name"]])]} if one["name"] in leaves else {})}
                for one in classes
            ],
            "clients": 8192,
            "clients_per_socket": 8192,
            "clients_per_process": 8192,
            "control": str(self._control),
            "status_file": None,
            **keys,
        }
        file = work / f"{name}.json"
        file.write_text(json.dumps(config, indent=1))
        command = [sys.executable, work / "virtrngd", "--config", file]
        super().__init__(work, name, command, self.sockets[leaves[0]])

    def status(self) -> dict[str, Any]:
        """What it says about itself."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(self._control))
            client.sendall(b'{"command": "status"}\n')
            answer = b""
            while not answer.endswith(b"\n"):
                part = client.recv(1 << 20)
                if not part:
                    raise BenchmarkError(f"{self.name}: no status: {answer[:200]!r}")
                answer += part
        found: dict[str, Any] = json.loads(answer)
        if not found.get("ok"):
            raise BenchmarkError(f"{self.name}: no status: {answer[:200]!r}")
        return found.get("status", found)


def load_command(work: Path, sockets: Mapping[Path, int], **options: float) -> list[str]:
    """The generator's command line: so many connections to each socket; options by their letter."""
    words = [word for letter, value in options.items() for word in (f"-{letter}", f"{value:g}")]
    return [str(work / "load"), *words, *(f"{path},{count}" for path, count in sockets.items())]


def load(work: Path, sockets: Mapping[Path, int], **options: float) -> dict[str, Any]:
    """Ask, and say how that went."""
    return answer_of(subprocess.Popen(load_command(work, sockets, **options), stdout=subprocess.PIPE))


def answer_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a generator that was started says at its end; an error if a connection broke, or a request was lost."""
    said = process.communicate()[0]
    if process.returncode:
        raise BenchmarkError(f"load ended with {process.returncode}")
    result: dict[str, Any] = json.loads(said)
    lost = {key: result[key] for key in ("unanswered", "closed", "errors") if result[key]}
    if lost:
        raise BenchmarkError(f"of {result['requests']} requests over {result['connections']} connections: {lost}")
    return result
