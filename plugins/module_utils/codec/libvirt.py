# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's domain XML <-> our values. Pure text in, values out, and the other way round."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Set, Tuple

from ..device import DRIVER_OPTIONS, MODELS, Rate, RngDevice, Source
from ..errors import GuestError, RngError
from ..observation import CONFIG, LIVE, FoundDevice
from ..text import printable

MAX_BYTES = 2**32 - 1  # libvirt keeps the rate in an unsigned int
MAX_DOCUMENT = 4 * 1024 * 1024  # bytes that a string in libvirt's protocol may have

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_ROOM_FOR_A_DEVICE = 4096  # its element, and that of a controller for it
_NO_PCI_MACHINES = ("isapc", "microvm", "none")
_HOTPLUG_PORTS = ("pcie-root-port", "pcie-switch-downstream-port")
_CONVENTIONAL_BRIDGES = ("pci-bridge", "pcie-to-pci-bridge")
_RNG_ON_COMMAND_LINE = ("virtio-rng", "rng-random", "rng-egd", "rng-builtin")

# EGD over a stream: without reconnect a guest does not start while nobody listens.
_RECONNECT = {"enabled": "yes", "timeout": "10"}


@dataclass(frozen=True)
class Domain:
    """What one domain XML says that matters here. ``identity`` selects the domain's own QEMU capabilities."""

    running: bool
    arch: str
    machine: str
    rngs: Tuple[FoundDevice, ...]
    rng_on_command_line: bool
    blocked: Mapping[str, str]
    identity: Tuple[str, str, str, str]


def parse_domain(xml: str, model: str = "virtio") -> Domain:
    """Read a domain XML as libvirt prints it.

    :param model: the device model that is to be added, since it decides which PCI slots will do.
    :raises GuestError: when it is not such a document. libvirt never prints a DOCTYPE: one could declare entities.
    """
    if not xml.lstrip().startswith("<domain"):
        raise GuestError("libvirt answered something that is not a domain document")
    try:
        root = ET.fromstring(xml)
    except (ET.ParseError, ValueError) as error:
        raise GuestError(f"its XML cannot be read: {error}") from error
    os_type = root.find("os/type")
    attributes = {} if os_type is None else os_type.attrib
    arch, machine = attributes.get("arch", ""), attributes.get("machine", "")
    arguments = root.iterfind(f"{_QEMU}commandline/{_QEMU}arg")
    return Domain(
        running=root.get("id") is not None,
        arch=arch,
        machine=machine,
        rngs=tuple(parse_rng(element) for element in root.iterfind("devices/rng")),
        rng_on_command_line=any(word in arg.get("value", "") for arg in arguments for word in _RNG_ON_COMMAND_LINE),
        blocked=_too_long(xml) or _blocked(root, arch, machine, model),
        identity=(root.findtext("devices/emulator") or "", arch, machine, root.get("type", "")),
    )


def parse_rng(element: ET.Element) -> FoundDevice:
    """One ``<rng>`` element. What we have no words for is kept as unknown, never guessed."""
    alias = element.find("alias")
    name = "" if alias is None else alias.get("name", "")
    handle = ET.tostring(element, encoding="unicode")
    try:
        return FoundDevice(_device(element), name, handle=handle)
    except RngError as error:
        return FoundDevice(None, name, printable(str(error)), handle)


def _device(element: ET.Element) -> RngDevice:
    model = element.get("model", "virtio")
    if model not in MODELS:
        raise GuestError(f"model {model}")
    backend = element.find("backend")
    if backend is None:
        raise GuestError("no backend")
    rate, driver = element.find("rate"), element.find("driver")
    options = {} if driver is None else driver.attrib
    return RngDevice(
        source=_source(backend),
        rate=_rate({} if rate is None else rate.attrib),
        model=model,
        driver=tuple((name, options[name] == "on") for name in sorted(DRIVER_OPTIONS) if name in options),
    )


def _rate(attributes: Mapping[str, str]) -> Rate:
    """libvirt takes 0 bytes for no limit, and 1000 ms for a period that is 0 or not given."""
    if attributes.get("bytes", "0") == "0":
        return Rate()
    period = attributes.get("period", "0")
    return Rate.parse(attributes["bytes"]) if period == "0" else Rate.parse(attributes["bytes"], period)


def _source(backend: ET.Element) -> Source:
    kind = backend.get("model", "")
    if kind == "builtin":
        return Source("builtin")
    if kind == "random":
        return Source.parse(backend.text or "/dev/random")
    if kind != "egd":
        raise GuestError(f"backend {kind}")
    transport = backend.get("type", "")
    peers = [source for source in backend.iterfind("source") if source.get("mode") == "connect"]
    if len(peers) != 1 or transport not in ("unix", "tcp", "udp"):
        raise GuestError(f"an EGD backend of type {transport} that does not connect to one peer")
    if transport == "unix":
        return Source.parse(f"egd+unix:{peers[0].get('path', '')}")
    host = peers[0].get("host", "")
    host = f"[{host}]" if ":" in host else host
    return Source.parse(f"egd+{transport}://{host}:{peers[0].get('service', '')}")


def render_rng(device: RngDevice, alias: str = "") -> str:
    """The ``<rng>`` element for a device call. It never has an address: libvirt chooses the right one."""
    root = ET.Element("rng", model=device.model)
    if device.rate.max_bytes is not None:
        ET.SubElement(root, "rate", bytes=str(device.rate.max_bytes), period=str(device.rate.period))
    root.append(_render_backend(device.source))
    if device.driver:
        ET.SubElement(root, "driver", {name: "on" if on else "off" for name, on in device.driver})
    if alias:
        ET.SubElement(root, "alias", name=alias)
    return ET.tostring(root, encoding="unicode")


def _render_backend(source: Source) -> ET.Element:
    if source.kind != "egd":
        backend = ET.Element("backend", model=source.kind)
        backend.text = source.path or None
        return backend
    backend = ET.Element("backend", model="egd", type=source.transport)
    if source.transport == "unix":
        peer = ET.SubElement(backend, "source", mode="connect", path=source.path)
        ET.SubElement(peer, "reconnect", _RECONNECT)
        return backend
    peer = ET.SubElement(backend, "source", mode="connect", host=source.host, service=str(source.port))
    if source.transport == "tcp":
        ET.SubElement(peer, "reconnect", _RECONNECT)
        ET.SubElement(backend, "protocol", type="raw")
    return backend


def _blocked(root: ET.Element, arch: str, machine: str, model: str) -> Dict[str, str]:
    """Why a device of this model could not be added, by layer, from the machine and its PCI topology.

    libvirt has no call that tells it beforehand; its error afterwards is prose.
    """
    if machine in _NO_PCI_MACHINES:
        why = f"machine {machine} has no bus for a virtio RNG that libvirt can use"
        return {CONFIG: why, LIVE: why}
    if arch.startswith("s390"):
        return {}
    buses = {controller.get("index", ""): controller for controller in root.iterfind("devices/controller[@type='pci']")}
    if not buses:
        return {LIVE: f"machine {machine} has no PCI bus to plug an RNG into while it runs"}
    used = _used_slots(root)
    conventional = model == "virtio-transitional" or not any(
        bus.get("model", "").startswith("pcie") for bus in buses.values()
    )
    free = _free_conventional_slot(buses, used) if conventional else _free_pcie_port(buses, used)
    if free:
        return {}
    kind = "PCI slot" if conventional else "PCIe port (pcie-root-port)"
    return {LIVE: f"no free {kind} to plug an RNG into while it runs"}


def _too_long(xml: str) -> Dict[str, str]:
    """libvirt would take another device, but then nobody could read the document any more."""
    if len(xml.encode()) <= MAX_DOCUMENT - _ROOM_FOR_A_DEVICE:
        return {}
    why = f"its XML has no room for a device: libvirt cannot hand out more than {MAX_DOCUMENT} bytes"
    return {CONFIG: why, LIVE: why}


def _used_slots(root: ET.Element) -> Set[Tuple[int, int]]:
    """(bus, slot) of every device that has a PCI address of its own; those of host devices are one level deeper."""
    used = set()
    for address in root.iterfind("devices/*/address[@type='pci']"):
        used.add((int(address.get("bus", "0"), 0), int(address.get("slot", "0"), 0)))
    return used


def _free_pcie_port(buses: Mapping[str, ET.Element], used: Set[Tuple[int, int]]) -> bool:
    occupied = {bus for bus, dummy in used}
    return any(
        bus.get("model") in _HOTPLUG_PORTS and _can_hotplug(bus) and int(index) not in occupied
        for index, bus in buses.items()
    )


def _free_conventional_slot(buses: Mapping[str, ET.Element], used: Set[Tuple[int, int]]) -> bool:
    for index, bus in buses.items():
        model = bus.get("model")
        if model == "pci-root":
            first = 3  # 0 is the host bridge, 1 the chipset, and libvirt keeps 2 for a graphics card
        elif model in _CONVENTIONAL_BRIDGES and _can_hotplug(bus):
            first = 1
        else:
            continue
        if any((int(index), slot) not in used for slot in range(first, 32)):
            return True
    return False


def _can_hotplug(bus: ET.Element) -> bool:
    target = bus.find("target")
    return target is None or target.get("hotplug", "on") != "off"


def parse_agent_channel(xml: str) -> Optional[bool]:
    """Whether a guest agent is connected to a running domain; None without a channel for one."""
    for target in ET.fromstring(xml).iterfind("devices/channel/target"):
        if target.get("name") == "org.qemu.guest_agent.0":
            return target.get("state") == "connected"
    return None


def parse_rng_capabilities(xml: str) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """(models, backends) of a domain capabilities document.

    :raises GuestError: when this libvirt is too old to tell; QEMU may have them all the same.
    """
    rng = ET.fromstring(xml).find("devices/rng")
    if rng is None:
        raise GuestError("this libvirt does not list RNGs in its domain capabilities")
    if rng.get("supported") != "yes":
        return (), ()
    values = {enum.get("name"): tuple(value.text or "" for value in enum.iterfind("value")) for enum in rng}
    return values.get("model", ()), values.get("backendModel", ())


def parse_qemu_user(xml: str) -> Optional[Tuple[int, int]]:
    """(uid, gid) that QEMU runs as, from the host capabilities, or None without the DAC driver."""
    for model in ET.fromstring(xml).iterfind("host/secmodel"):
        label = model.findtext("baselabel") or ""
        if model.findtext("model") == "dac" and label.count(":") == 1:
            uid, gid = label.replace("+", "").split(":")
            if uid.isdigit() and gid.isdigit():
                return int(uid), int(gid)
    return None
