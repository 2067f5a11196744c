# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the verifiers of all scenarios look at guests, over SSH on their hypervisors, and at the reports of runs."""

from __future__ import annotations

import base64
import json
import os
import time
import xml.etree.ElementTree as ET
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from testinfra.host import Host

PATIENCE = 600  # seconds; only what hangs takes longer, however busy the machine is
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"
HW_RANDOM = "/sys/devices/virtual/misc/hw_random"


class Report:
    """One report: its page, and what it says of each guest."""

    def __init__(self, name: str) -> None:
        directory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], name)
        self.page = (directory / "report.html").read_text()
        self.data = json.loads((directory / "report.json").read_text())
        jsonschema.validate(self.data, json.loads(SCHEMA.read_text()))

    @property
    def hypervisors(self) -> list[str]:
        """Their names."""
        return [host["hypervisor"] for host in self.data["hosts"]]

    def guests(self, hypervisor: str) -> Mapping[str, Mapping[str, Any]]:
        """Its guests, by name."""
        (found,) = [host for host in self.data["hosts"] if host["hypervisor"] == hypervisor]
        return {guest["name"]: guest for guest in found["guests"]}


class Named:
    """One guest of a hypervisor, by what is stored of it there."""

    def __init__(self, hypervisor: Host, name: str) -> None:
        self._hypervisor = hypervisor
        self.name = name

    def _command(self, *words: str) -> str:
        """What a command on the hypervisor wrote, which has to succeed."""
        output: str = self._hypervisor.check_output(" ".join(["%s"] * len(words)), *words)
        return output

    def _file(self, path: str) -> str:
        """A file of the hypervisor."""
        content: str = self._hypervisor.file(path).content_string
        return content


class Guest(Named, ABC):
    """One guest of a hypervisor: what its agent says of the system in it."""

    @abstractmethod
    def _agent(self, command: str, **arguments: Any) -> Any:
        """What a command of the agent returned."""

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

    def settles_on(self, name: str) -> bool:
        """Whether its kernel comes to use this RNG: a busy guest takes a while to notice what was plugged in."""
        end = time.monotonic() + PATIENCE
        while self.rng_current() != name and time.monotonic() < end:
            time.sleep(0.5)
        return self.rng_current() == name

    def seconds_to_draw(self, count: int) -> float:
        """How long the guest needed for so many bytes of its RNG, a multiple of 64, by its own clock."""
        uptime = "cut -d ' ' -f 1 /proc/uptime"
        draw = f"dd if=/dev/hwrng of=/dev/null bs=64 count={count // 64}"
        before, after = self.run(f"{uptime}; {draw} 2>/dev/null; {uptime}").split()
        return float(after) - float(before)


class LibvirtGuest(Guest):
    """A guest of libvirt."""

    def _virsh(self, *arguments: str) -> str:
        return self._command("virsh", "--quiet", "--connect", "qemu:///system", *arguments)

    def _agent(self, command: str, **arguments: Any) -> Any:
        text = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self._virsh("qemu-agent-command", "--timeout", "120", "--domain", self.name, "--cmd", text))[
            "return"
        ]

    def rngs(self, *, inactive: bool = False) -> list[dict[str, str]]:
        """Its RNGs by the domain XML: of the running guest, or those it will have after a restart."""
        xml = self._virsh("dumpxml", *(["--inactive"] if inactive else []), "--domain", self.name)
        return [_summary(rng) for rng in ET.fromstring(xml).iterfind("devices/rng")]


class SocketGuest(Guest):
    """A guest whose QEMU and agent can be reached at sockets of its hypervisor: all but their end is ``base``."""

    def __init__(self, hypervisor: Host, name: str, base: str) -> None:
        super().__init__(hypervisor, name)
        self._base = base

    def _ask(self, end: str, command: str, arguments: dict[str, Any]) -> Any:
        return json.loads(self._command("qemu-ask", f"{self._base}.{end}", command, json.dumps(arguments)))

    def _agent(self, command: str, **arguments: Any) -> Any:
        return self._ask("qga", command, arguments)

    def wait(self) -> None:
        """Return once the system in it is up."""
        end = time.monotonic() + PATIENCE
        while self._hypervisor.run("timeout 5 qemu-ask %s guest-ping", f"{self._base}.qga").rc != 0:
            assert time.monotonic() < end, f"nobody answers in guest {self.name}"
            time.sleep(0.5)

    def rngs(self) -> list[dict[str, Any]]:
        """Its RNGs as its QEMU knows them."""
        found = []
        for device in self._children("/machine/peripheral", "virtio-rng-"):
            path = f"/machine/peripheral/{device}"
            rate = {key: self._get(path, key) for key in ("max-bytes", "period")}
            backend = self._get(path, "rng")
            source = self._get(backend, "filename") if self._get(backend, "type") == "rng-random" else "builtin"
            found.append({"id": device, "source": source, **rate})
        return found

    def backends(self) -> list[str]:
        """The ids of the objects that RNGs draw from."""
        return self._children("/objects", "rng-")

    def _get(self, path: str, name: str) -> Any:
        return self._ask("qmp", "qom-get", {"path": path, "property": name})

    def _children(self, path: str, kind: str) -> list[str]:
        listed = self._ask("qmp", "qom-list", {"path": path})
        return sorted(child["name"] for child in listed if child["type"].startswith(f"child<{kind}"))


class Instance(SocketGuest):
    """A guest of a Ganeti cluster."""

    def __init__(self, hypervisor: Host, name: str) -> None:
        self.full_name = f"{name}.example.test"
        super().__init__(hypervisor, name, f"/run/ganeti/kvm-hypervisor/ctrl/{self.full_name}")

    def own(self) -> dict[str, Any]:
        """The hypervisor parameters that it has values of its own for, as the master has stored them."""
        stored = json.loads(self._file("/var/lib/ganeti/config.data"))
        (found,) = [one for one in stored["instances"].values() if one["name"] == self.full_name]
        return dict(found["hvparams"])

    def listed(self) -> str:
        """Its ``kvm_extra``, as ``gnt-instance`` lists it."""
        return self._command("gnt-instance", "list", "--no-headers", "-o", "hv/kvm_extra", self.full_name).strip()

    def command_line(self) -> list[str]:
        """The words that its QEMU was started with."""
        pid = self._file(f"/run/ganeti/kvm-hypervisor/pid/{self.full_name}").strip()
        return self._file(f"/proc/{pid}/cmdline").split("\0")[:-1]


class NodeGuest(Named):
    """A guest of a Proxmox VE node."""

    def _get(self, path: str) -> Any:
        return json.loads(self._command("pvesh", "get", f"/nodes/localhost/qemu{path}", "--output-format", "json"))

    @property
    def vmid(self) -> int:
        """Its number."""
        (found,) = [guest["vmid"] for guest in self._get("") if guest["name"] == self.name]
        return int(found)

    def pending(self) -> dict[str, Any]:
        """What its rng0 is and will be: some of ``value``, ``pending`` and ``delete``."""
        found = [dict(item) for item in self._get(f"/{self.vmid}/pending") if item.pop("key") == "rng0"]
        return found[0] if found else {}

    def text(self) -> str:
        """Its file."""
        return self._file(f"/etc/pve/qemu-server/{self.vmid}.conf")


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
def guest(host: Host) -> Callable[[str], LibvirtGuest]:
    """A guest of libvirt, by its name, of the hypervisor that the test runs on."""
    return lambda name: LibvirtGuest(host, name)


@pytest.fixture
def qemu_guest(host: Host) -> Callable[[str], SocketGuest]:
    """A guest of plain QEMU."""
    return lambda name: SocketGuest(host, name, f"/run/qemu/{name}")


@pytest.fixture
def instance(host: Host) -> Callable[[str], Instance]:
    """A guest of a Ganeti cluster."""
    return lambda name: Instance(host, name)


@pytest.fixture
def node_guest(host: Host) -> Callable[[str], NodeGuest]:
    """A guest of a Proxmox VE node."""
    return lambda name: NodeGuest(host, name)


@pytest.fixture(scope="session")
def report() -> Callable[[str], Report]:
    """A report that is valid by the published schema, by the name of its directory."""
    return Report
