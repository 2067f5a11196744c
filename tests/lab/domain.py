# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain XML of the lab's guests."""

from __future__ import annotations

import base64
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from .errors import LabError
from .spec import GuestSpec

IMAGES = "/run/lab/images"  # where every host sees the guest images
SERIAL = "/run/lab/serial"  # and where its guests' consoles are written
DISKS = "/run/lab/host/disks"  # and the disks of those that have one
EMULATOR = "/usr/bin/qemu-system-x86_64"  # not a program called kvm: QEMU would then try KVM
NAMESPACE = uuid.UUID("6b1f1f0e-6c1c-4f0b-9a55-3f0f0c9d6a10")

# no_timer_check: without it a guest on a busy machine panics now and then while it calibrates its timer under TCG.
KERNEL_ARGUMENTS = "console=ttyS0 quiet no_timer_check panic=1"


@dataclass(frozen=True)
class GuestNet:
    """How a guest with SSH joins the lab's network."""

    address: str
    mac: str
    key: str

    @property
    def arguments(self) -> str:
        """What the guest's init reads from the kernel command line; the key without its type and comment."""
        return f"lab.address={self.address} lab.key={self.key}"

    @property
    def sysinfo(self) -> ET.Element:
        """The same for a guest that has a boot loader, and so a command line of its own: in its firmware's tables."""
        element = ET.Element("sysinfo", type="smbios")
        system = ET.SubElement(element, "system")
        ET.SubElement(system, "entry", name="serial").text = self.address
        ET.SubElement(system, "entry", name="sku").text = self.key
        return element


def guest_uuid(host: str, name: str) -> str:
    """The same UUID for the same guest in every lab, so that recorded output can be compared."""
    return str(uuid.uuid5(NAMESPACE, f"{host}/{name}"))


def domain_xml(host: str, guest: GuestSpec, net: GuestNet | None = None) -> str:
    """The definition of a guest that boots in a few seconds, has an agent, and has no RNG unless its spec says so."""
    domain = ET.Element("domain", type="qemu")
    ET.SubElement(domain, "name").text = guest.name
    ET.SubElement(domain, "uuid").text = guest_uuid(host, guest.name)
    ET.SubElement(domain, "memory", unit="MiB").text = str(guest.memory)
    ET.SubElement(domain, "vcpu").text = "1"
    domain.append(_os(guest, net))
    if guest.distribution and net:
        domain.append(net.sysinfo)
    if guest.machine not in ("isapc",):
        ET.SubElement(ET.SubElement(domain, "features"), "acpi")
    ET.SubElement(domain, "cpu", mode="maximum")
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        ET.SubElement(domain, event).text = action
    devices = ET.SubElement(domain, "devices")
    ET.SubElement(devices, "emulator").text = EMULATOR
    _controllers(devices, guest, net)
    serial = ET.SubElement(devices, "serial", type="file")
    ET.SubElement(serial, "source", path=f"{SERIAL}/{guest_uuid(host, guest.name)}")
    if guest.machine != "isapc":
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    if guest.distribution:
        disk = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(disk, "driver", name="qemu", type="qcow2", cache="unsafe")
        ET.SubElement(disk, "source", file=f"{DISKS}/{guest_uuid(host, guest.name)}")
        ET.SubElement(disk, "target", dev="vda", bus="virtio")
    if net:
        interface = ET.SubElement(devices, "interface", type="bridge")
        ET.SubElement(interface, "mac", address=net.mac)
        ET.SubElement(interface, "source", bridge="br0")
        ET.SubElement(interface, "model", type="virtio")
        ET.SubElement(interface, "rom", enabled="no")
    ET.SubElement(devices, "memballoon", model="none")
    devices.extend(_fragment(guest, guest.rng))
    devices.extend(_fragment(guest, guest.devices))
    domain.extend(_fragment(guest, guest.domain))
    return ET.tostring(domain, encoding="unicode")


def _os(guest: GuestSpec, net: GuestNet | None) -> ET.Element:
    element = ET.Element("os")
    ET.SubElement(element, "type", arch="x86_64", machine=guest.machine).text = "hvm"
    if guest.firmware_only:
        return element
    if guest.distribution:
        ET.SubElement(element, "boot", dev="hd")
        ET.SubElement(element, "smbios", mode="sysinfo")
        return element
    ET.SubElement(element, "kernel").text = f"{IMAGES}/vmlinuz"
    ET.SubElement(element, "initrd").text = f"{IMAGES}/{image(guest)}"
    ET.SubElement(element, "cmdline").text = kernel_arguments(guest, net)
    return element


def image(guest: GuestSpec) -> str:
    """The initramfs that a guest boots."""
    return "ssh.initrd" if guest.ssh else "agent.initrd"


def kernel_arguments(guest: GuestSpec, net: GuestNet | None) -> str:
    """The kernel command line, from which the guest's init learns whatever it has to know."""
    arguments = [KERNEL_ARGUMENTS, net.arguments if net else "", *_behaviour(guest), guest.cmdline]
    return " ".join(part for part in arguments if part)


def _behaviour(guest: GuestSpec) -> list[str]:
    """How the guest is to behave, where that is not as usual."""
    arguments = [] if guest.agent == "alive" else [f"lab.agent={guest.agent}"]
    if not guest.driver:
        arguments.append("lab.driver=no")
    if guest.os_name:
        arguments.append(f"lab.os_name={base64.b64encode(guest.os_name.encode()).decode()}")
    return arguments


def _controllers(devices: ET.Element, guest: GuestSpec, net: GuestNet | None) -> None:
    """On q35 as many root ports as the guest's own devices take, plus the spare ones."""
    ET.SubElement(devices, "controller", type="usb", model="none")
    if guest.machine != "q35" and not guest.machine.startswith("pc-q35"):
        return
    ET.SubElement(devices, "controller", type="pci", model="pcie-root")
    # The agent's virtio-serial, the NIC, the disk, each RNG.
    taken = 1 + bool(net) + guest.distribution + len(_fragment(guest, guest.rng))
    for dummy in range(taken + guest.spare_ports):
        ET.SubElement(devices, "controller", type="pci", model="pcie-root-port")


def _fragment(guest: GuestSpec, xml: str) -> list[ET.Element]:
    try:
        return list(ET.fromstring(f"<x>{xml}</x>"))
    except ET.ParseError as error:
        raise LabError(f"guest {guest.name}: {xml!r}: {error}") from error
