# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One guest, seen from inside through the QEMU guest agent."""

from __future__ import annotations

import base64
import json
import socket
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from .domain import guest_uuid
from .errors import LabError
from .host import Host
from .process import PATIENCE, wait_for
from .spec import GuestSpec

BOOTED = b"booted after"  # what its init writes on the console
HW_RANDOM = "/sys/devices/virtual/misc/hw_random"

# Both draws block until they have all they want. Block sizes divide the counts: a larger read would wait for more.
DRAW = """
draw() { [ "$2" -eq 0 ] || dd if=/dev/hwrng bs="$1" count="$2" iflag=fullblock 2>/dev/null | wc -c; }
draw {block} {warm_up} > /dev/null
read -r before _ < /proc/uptime
drawn=$(draw {block} {blocks})
read -r after _ < /proc/uptime
echo "$drawn $before $after"
"""


@dataclass(frozen=True)
class Draw:
    """What a guest drew from /dev/hwrng, and how long that took by the guest's clock."""

    bytes: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Bytes per second; a draw too short for the guest's clock of 10 ms counts as 10 ms."""
        return self.bytes / max(self.seconds, 0.01)


class System(ABC):
    """What runs in a guest, through its agent."""

    who: str  # whom an error is about

    @abstractmethod
    def agent(self, command: str, timeout: int = 120, **arguments: Any) -> Any:
        """One command of the agent's protocol, and what it returned; a LabError where it did not answer."""

    def answers(self) -> bool:
        """Whether the agent answers within two seconds."""
        try:
            self.agent("guest-ping", timeout=2)
        except LabError:
            return False
        return True

    def read(self, path: str) -> str:
        """The content of a file in the guest."""
        handle = self.agent("guest-file-open", path=path, mode="r")
        try:
            content = b""
            while True:
                part = self.agent("guest-file-read", handle=handle, count=65536)
                content += base64.b64decode(part["buf-b64"])
                if part["eof"] or not part["count"]:
                    return content.decode(errors="replace")
        finally:
            self.agent("guest-file-close", handle=handle)

    def run(self, script: str, timeout: float = PATIENCE) -> str:
        """Run a shell script in the guest that has to succeed; what it wrote."""
        return self.result(self.launch(script), timeout)

    def launch(self, script: str) -> int:
        """Start a shell script in the guest."""
        return int(self.agent("guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"])

    def result(self, pid: int, timeout: float = PATIENCE) -> str:
        """What a script wrote, once it has ended, and well."""
        end = time.monotonic() + timeout
        while not (status := self.agent("guest-exec-status", pid=pid))["exited"]:
            if time.monotonic() > end:
                self.agent("guest-exec", path="/bin/kill", arg=["-9", str(pid)])
                raise LabError(f"{self.who}: the script does not end in {timeout:g} s")
            time.sleep(0.2)
        out, err = (base64.b64decode(status.get(key, "")).decode(errors="replace") for key in ("out-data", "err-data"))
        if status.get("exitcode") != 0:
            raise LabError(f"{self.who}: the script ended with {status.get('exitcode')}: {out}{err}")
        return out

    def rng_current(self) -> str:
        """The RNG that the guest's kernel uses, or ``none``."""
        return self.read(f"{HW_RANDOM}/rng_current").strip()

    def rng_available(self) -> list[str]:
        """The RNGs that the guest's kernel knows, without the pseudo entry of newer kernels."""
        return [name for name in self.read(f"{HW_RANDOM}/rng_available").split() if name != "none"]

    def draw(self, count: int, warm_up: int = 0, timeout: float = PATIENCE) -> Draw:
        """Draw ``count`` bytes from /dev/hwrng and time it, after ``warm_up`` bytes that do not count."""
        block = 4096
        while count % block or warm_up % block:
            block //= 2
        script = DRAW
        for word, number in (("block", block), ("warm_up", warm_up // block), ("blocks", count // block)):
            script = script.replace(f"{{{word}}}", str(number))
        drawn, before, after = self.run(script, timeout).split()
        return Draw(int(drawn), float(after) - float(before))

    def draw_quotas(self, max_bytes: int, quotas: int = 3, timeout: float = PATIENCE) -> Draw:
        """Draw some quotas of a device limited to ``max_bytes``: that takes as many periods, whatever came before.

        The first quota is free. A little more than it is the warm-up: it ends just after a renewal.
        """
        return self.draw(quotas * max_bytes, max_bytes + min(64, max_bytes), timeout)


class Guest(System):
    """A guest of a host, by libvirt."""

    def __init__(self, host: Host, spec: GuestSpec, address: str | None = None) -> None:
        self.host = host
        self.spec = spec
        self.name = spec.name
        self.who = f"guest {spec.name} of {host.name}"
        self.address = address
        self.uuid = guest_uuid(host.name, spec.name)

    def start(self) -> None:
        """Start it, without waiting."""
        self.host.virsh("start", "--domain", self.uuid)

    def destroy(self) -> None:
        """Pull the plug."""
        self.host.virsh("destroy", "--domain", self.uuid)

    def wait(self, timeout: float = PATIENCE) -> None:
        """Return once its agent answers, or, of a guest whose agent will not, once its system has booted."""
        if self.spec.has_agent:
            wait_for(f"{self.who}: its agent", self.answers, timeout, pause=0.25)
            if self.spec.distribution:
                wait_for(f"{self.who}: its SSH server", self.listens, timeout, pause=0.25)
        else:
            wait_for(f"{self.who}: its system", self.booted, timeout, pause=0.25)
            if self.spec.agent != "absent":
                wait_for(f"{self.who}: its agent's port", self.opened, timeout, pause=0.25)

    def booted(self) -> bool:
        """Whether its console says so; a LabError when the host itself is gone."""
        self.host.process()
        console = self.host.directory / "serial" / self.uuid
        return console.is_file() and BOOTED in console.read_bytes()

    def opened(self) -> bool:
        """Whether somebody in it has opened the port of its agent; a LabError when the host itself is gone."""
        return "state='connected'" in self.host.virsh("dumpxml", "--domain", self.uuid)

    def listens(self) -> bool:
        """Whether a connection to its SSH server is accepted; a LabError when the host itself is gone."""
        self.host.process()
        try:
            socket.create_connection(((self.address or "").partition("/")[0], 22), timeout=2).close()
        except OSError:
            return False
        return True

    def answers(self) -> bool:
        """Whether the agent answers within two seconds; a LabError when the host itself is gone."""
        self.host.process()
        return super().answers()

    def agent(self, command: str, timeout: int = 120, **arguments: Any) -> Any:
        text = json.dumps({"execute": command, "arguments": arguments})
        options = ["--timeout", str(timeout), "--domain", self.uuid, "--cmd", text]
        return json.loads(self.host.virsh("qemu-agent-command", *options, timeout=timeout + 10))["return"]
