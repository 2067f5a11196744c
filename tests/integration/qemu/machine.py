# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real QEMUs without a manager, started by the tests, and the modules run on them by Ansible."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.process import PATIENCE, wait_for

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
EMULATOR = "qemu-system-x86_64"
KERNEL_ARGUMENTS = "console=ttyS0 quiet no_timer_check panic=1"  # as the lab's guests have it
CURRENT = "/sys/devices/virtual/misc/hw_random/rng_current"


class Machine:
    """One QEMU process, under TCG. Its QMP socket is free for the modules; ``spy`` is another one, for the tests."""

    def __init__(self, directory: Path, images: Path | None, name: str, machine: str, *more: str) -> None:
        self.directory = directory
        self.name = name
        self.qmp, self.spy = directory / f"{name}.qmp", directory / f"{name}.spy"
        self.agent_socket = directory / f"{name}.qga"
        self.booting = images is not None
        boot: list[str] = []
        if images is not None:
            boot = ["-kernel", f"{images}/vmlinuz", "-initrd", f"{images}/agent.initrd", "-append", KERNEL_ARGUMENTS]
            boot += ["-serial", f"file:{directory}/{name}.console"]
        self.command = [
            EMULATOR,
            *("-name", f"guest={name},debug-threads=on"),
            *("-M", f"{machine},accel=tcg", "-cpu", "max", "-m", "128" if images else "64"),
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-qmp", f"unix:{self.qmp},server=on,wait=off", "-qmp", f"unix:{self.spy},server=on,wait=off"),
            *("-chardev", f"socket,path={self.agent_socket},server=on,wait=off,id=qga0"),
            *boot,
            *more,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Machine:
        """Start it and wait until it answers: its system, or where it has none its monitor."""
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"{self.name}: its monitor", lambda: self.died() or self.spy.exists())
        assert not self.died(), self.log
        if self.booting:
            wait_for(f"{self.name}: its agent", self.answers, PATIENCE, pause=0.25)
        return self

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

    # The monitor, as the tests see it

    def ask(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.spy))
            stream = client.makefile("rw")
            stream.readline()
            for name, given in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": given}) + "\n")
                stream.flush()
                while "event" in (answer := json.loads(stream.readline())):
                    pass
            return answer["return"]

    def children(self, path: str, kind: str) -> list[str]:
        listed = self.ask("qom-list", path=path)
        return sorted(child["name"] for child in listed if child["type"].startswith(f"child<{kind}"))

    @property
    def rngs(self) -> list[str]:
        return self.children("/machine/peripheral", "virtio-rng-")

    @property
    def backends(self) -> list[str]:
        return self.children("/objects", "rng-")

    # The guest, through its agent

    def answers(self) -> bool:
        try:
            return self.agent("guest-ping", seconds=2) == {}
        except (OSError, ValueError):
            return False

    def agent(self, command: str, seconds: float = 120, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(seconds)
            client.connect(str(self.agent_socket))
            stream = client.makefile("rwb")
            mark = time.monotonic_ns() % 10**9
            stream.write(json.dumps({"execute": "guest-sync", "arguments": {"id": mark}}).encode() + b"\n")
            stream.flush()
            while json.loads(stream.readline()).get("return") != mark:
                pass
            stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            stream.flush()
            return json.loads(stream.readline())["return"]

    def launch(self, script: str) -> int:
        """Start a shell script in the guest."""
        pid = self.agent("guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"]
        return int(pid)

    def result(self, pid: int) -> str:
        """What a script wrote, once it has ended well."""
        end = time.monotonic() + PATIENCE
        while not (status := self.agent("guest-exec-status", pid=pid))["exited"]:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert status["exitcode"] == 0, status
        return base64.b64decode(status.get("out-data", "")).decode()

    def run(self, script: str) -> str:
        return self.result(self.launch(script)).strip()


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


def converge(machine: Machine, *, check: bool = False, wait: int = 60, **device: Any) -> dict[str, Any]:
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
