# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real QEMUs without a manager, started by the tests, and the modules run on them by Ansible."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab import LabError
from lab.domain import KERNEL_ARGUMENTS
from lab.process import PATIENCE, wait_for
from lab.qemu import Sockets, boot_words, machine_words

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class Machine(Sockets):
    """One QEMU on this machine. Its QMP socket is free for the modules; ``spy`` is another one, for the tests."""

    def __init__(self, directory: Path, images: Path | None, name: str, machine: str, *more: str) -> None:
        self.directory = directory
        self.name = self.who = name
        self.qmp, self.spy = directory / f"{name}.qmp", directory / f"{name}.spy"
        self.booting = images is not None
        boot: list[str] = []
        if images is not None:
            boot = boot_words(str(images), "agent.initrd", KERNEL_ARGUMENTS, f"{directory}/{name}.console")
        self.command = [
            *machine_words(name, machine, 128 if images else 64, str(self.qmp), str(self.agent_socket)),
            *("-qmp", f"unix:{self.spy},server=on,wait=off"),
            *boot,
            *more,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def monitor(self) -> Path:
        return self.spy

    @property
    def agent_socket(self) -> Path:
        return self.directory / f"{self.name}.qga"

    def start(self) -> Machine:
        """Start it and wait until it answers: its system, or where it has none its monitor."""
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"{self.name}: its monitor", lambda: self.died() or self.listens())
        assert not self.died(), self.log
        if self.booting:
            wait_for(f"{self.name}: its agent", self.answers, pause=0.25)
        return self

    def listens(self) -> bool:
        """Whether its monitor answers: the socket is there a moment sooner."""
        try:
            self.ask("query-status")
        except LabError:
            return False
        return True

    def died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def log(self) -> str:
        return (self.directory / f"{self.name}.log").read_text()

    def stop(self) -> None:
        """Pull the plug."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None
        for path in (self.qmp, self.spy, self.agent_socket):
            path.unlink(missing_ok=True)

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)


def module(name: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run a module on this machine by Ansible; what it returned, and whether it failed."""
    results = Path(os.environ["RNG_TEST_RESULTS"])
    results.unlink(missing_ok=True)
    command = [
        str(Path(sys.executable).parent / "ansible"), "localhost", "--connection", "local",
        "--extra-vars", f"ansible_python_interpreter={sys.executable}",
        "--module-name", f"fleet.rng.{name}", "--args", json.dumps(options) if options else "",
        *(["--check"] if check else []),
    ]  # fmt: skip
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE.parent / "libvirt" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "results",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert results.exists(), done.stdout + done.stderr
    result: dict[str, Any] = json.loads(results.read_text())
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return result


def converge(machine: Machine, *, check: bool = False, wait: int = int(PATIENCE), **device: Any) -> dict[str, Any]:
    """The outcome of one guest."""
    given = {"guest": machine.name, **device}
    result = module("qemu_rng", check=check, wait=wait, devices=[given])
    assert "guests" in result, result
    assert result["guests"], result
    outcome: dict[str, Any] = result["guests"][0]
    assert result["failed"] == (outcome["error"] is not None)
    return outcome


def observe(**options: Any) -> dict[str, dict[str, Any]]:
    """What is seen of the guests, by name."""
    result = module("qemu_rng_info", **options)
    assert not result["failed"], result
    return {guest["name"]: guest for guest in result["guests"]}
