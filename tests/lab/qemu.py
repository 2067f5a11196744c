# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of plain QEMU: their command lines, what can be asked over their sockets, and those of a lab's hosts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from . import sockets
from .domain import EMULATOR, IMAGES, SERIAL, GuestNet, guest_uuid, image, kernel_arguments
from .errors import LabError
from .guest import Guest, System
from .spec import GuestSpec

RUN = "/run/qemu"  # on a host: sockets and pids
ETC = "/etc/qemu"  # command lines, and the files that they read
AGENT = ("-device", "virtserialport,chardev=qga0,name=org.qemu.guest_agent.0")


def machine_words(name: str, machine: str, memory: int, monitor: str, agent: str) -> list[str]:
    """A machine with nothing in it but a monitor, and the socket that its agent would be behind."""
    return [
        *(EMULATOR, "-name", f"guest={name.replace(',', ',,')},debug-threads=on"),
        *("-M", f"{machine},accel=tcg", "-cpu", "max", "-m", str(memory)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-qmp", f"unix:{monitor},server=on,wait=off"),
        *("-chardev", f"socket,path={agent},server=on,wait=off,id=qga0"),
    ]


def boot_words(images: str, initrd: str, arguments: str, console: str) -> list[str]:
    """What makes a machine boot a system of the lab."""
    kernel = ["-kernel", f"{images}/vmlinuz", "-initrd", f"{images}/{initrd}", "-append", arguments]
    return [*kernel, "-serial", f"file:{console}"]


def root_ports(count: int) -> list[str]:
    """Free ports of a q35 machine, ``rp1`` and so on."""
    return [word for n in range(1, count + 1) for word in ("-device", f"pcie-root-port,id=rp{n},chassis={n}")]


def command_line(host: str, guest: GuestSpec, net: GuestNet | None = None) -> list[str]:
    """The command line of a guest of a host, which goes to the background."""
    uuid = guest_uuid(host, guest.name)
    base = f"{RUN}/{guest.name}"
    words = machine_words(guest.name, guest.machine, guest.memory, f"{base}.qmp", f"{base}.qga")
    words += ["-uuid", uuid, "-daemonize", "-pidfile", f"{base}.pid"]
    if not guest.firmware_only:
        words += boot_words(IMAGES, image(guest), kernel_arguments(guest, net), f"{SERIAL}/{uuid}")
    if guest.machine == "q35" or guest.machine.startswith("pc-q35"):
        words += root_ports(guest.spare_ports)  # before -readconfig, so that what that adds can use them
    if guest.machine not in ("isapc", "microvm"):
        words += ["-device", "virtio-serial-pci", *AGENT]
    if net:
        words += ["-netdev", "bridge,id=net0,br=br0"]
        words += ["-device", f"virtio-net-pci,netdev=net0,mac={net.mac},romfile="]
    return [*words, "-readconfig", f"{ETC}/{guest.name}.cfg"]


class Sockets(System):
    """A QEMU and its guest's system, over their sockets. Nobody else may be connected meanwhile."""

    @property
    def monitor(self) -> Path:
        """Its QMP socket."""
        raise NotImplementedError

    @property
    def agent_socket(self) -> Path:
        """The one of its agent."""
        raise NotImplementedError

    def ask(self, command: str, **arguments: Any) -> Any:
        """What a command of QMP returned."""
        return self._ask(self.monitor, command, arguments, 60)

    def agent(self, command: str, timeout: int = 120, **arguments: Any) -> Any:
        return self._ask(self.agent_socket, command, arguments, timeout)

    def _ask(self, path: Path, command: str, arguments: dict[str, Any], timeout: float) -> Any:
        try:
            return sockets.ask(str(path), command, arguments, timeout)
        except sockets.SocketError as error:
            raise LabError(f"{self.who}: {error}") from error

    @property
    def rngs(self) -> list[str]:
        """The ids of the RNGs that it has now."""
        return self._children("/machine/peripheral", "virtio-rng-")

    @property
    def backends(self) -> list[str]:
        """The ids of the objects behind RNGs."""
        return self._children("/objects", "rng-")

    def _children(self, path: str, kind: str) -> list[str]:
        listed = self.ask("qom-list", path=path)
        return sorted(child["name"] for child in listed if child["type"].startswith(f"child<{kind}"))


class QemuGuest(Sockets, Guest):
    """A guest of a lab's host of plain QEMU."""

    def define(self, net: GuestNet | None) -> None:
        """Write its files, as if somebody had put them on the host."""
        self.config.write_text(self.spec.readconfig)
        words = shlex.join(command_line(self.host.name, self.spec, net))
        self.config.with_suffix(".start").write_text(f"exec {words}\n")

    @property
    def config(self) -> Path:
        """What its ``-readconfig`` names, seen from outside the host."""
        return self.host.directory / "qemu" / f"{self.name}.cfg"

    def start(self) -> None:
        self.host.check("qemu-guest", "start", self.name)

    def destroy(self) -> None:
        self.host.check("qemu-guest", "stop", self.name)

    def opened(self) -> bool:
        (port,) = [chardev for chardev in self.ask("query-chardev") if chardev["label"] == "qga0"]
        return bool(port["frontend-open"])

    @property
    def monitor(self) -> Path:
        return self._there(f"{RUN}/{self.name}.qmp")

    @property
    def agent_socket(self) -> Path:
        return self._there(f"{RUN}/{self.name}.qga")

    def _there(self, path: str) -> Path:
        """A path of the host, seen from outside; short, as sockets need it."""
        return Path(f"/proc/{self.host.process().pid}/root{path}")
