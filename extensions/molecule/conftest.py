# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the verifiers of all scenarios look at guests: over SSH on their hypervisor, by libvirt and the guest agent."""

from __future__ import annotations

import base64
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

PATIENCE = 600  # seconds; only what hangs takes longer, however busy the machine is
HW_RANDOM = "/sys/devices/virtual/misc/hw_random"


class Guest:
    """One guest of a hypervisor."""

    def __init__(self, hypervisor: Host, name: str) -> None:
        self._hypervisor = hypervisor
        self.name = name

    def _virsh(self, *arguments: str) -> str:
        command = ["virsh", "--quiet", "--connect", "qemu:///system", *arguments]
        output: str = self._hypervisor.check_output(" ".join(["%s"] * len(command)), *command)
        return output

    def rngs(self, *, inactive: bool = False) -> list[dict[str, str]]:
        """Its RNGs by the domain XML: of the running guest, or those it will have after a restart."""
        xml = self._virsh("dumpxml", *(["--inactive"] if inactive else []), "--domain", self.name)
        return [_summary(rng) for rng in ET.fromstring(xml).iterfind("devices/rng")]

    def _agent(self, command: str, **arguments: Any) -> Any:
        text = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self._virsh("qemu-agent-command", "--timeout", "120", "--domain", self.name, "--cmd", text))[
            "return"
        ]

    def run(self, script: str, timeout: float = PATIENCE) -> str:
        """What a shell script inside the guest wrote; it has to succeed."""
        pid = self._agent("guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"]
        end = time.monotonic() + timeout
        while not (status := self._agent("guest-exec-status", pid=pid))["exited"]:
            assert time.monotonic() < end, f"{script!r} does not end in guest {self.name}"
            time.sleep(0.2)
        assert status["exitcode"] == 0, base64.b64decode(status.get("err-data", ""))
        return base64.b64decode(status.get("out-data", "")).decode()

    def rng_current(self) -> str:
        """The RNG that the guest's own kernel uses, or ``none``."""
        return self.run(f"cat {HW_RANDOM}/rng_current").strip()

    def seconds_to_draw(self, count: int) -> float:
        """How long the guest needed for so many bytes of its RNG, a multiple of 64, by its own clock."""
        uptime = "cut -d ' ' -f 1 /proc/uptime"
        draw = f"dd if=/dev/hwrng of=/dev/null bs=64 count={count // 64}"
        before, after = self.run(f"{uptime}; {draw} 2>/dev/null; {uptime}").split()
        return float(after) - float(before)


def _summary(rng: ET.Element) -> dict[str, str]:
    """What matters of an <rng>, flat."""
    backend = rng.find("backend")
    rate = rng.find("rate")
    assert backend is not None
    return {
        "model": rng.get("model", ""),
        "backend": backend.get("model", ""),
        "path": backend.text or "",
        "bytes": "" if rate is None else rate.get("bytes", ""),
        "period": "" if rate is None else rate.get("period", ""),
    }


@pytest.fixture
def guest(host: Host) -> Callable[[str], Guest]:
    """A guest, by its name, of the hypervisor that the test runs on."""
    return lambda name: Guest(host, name)
