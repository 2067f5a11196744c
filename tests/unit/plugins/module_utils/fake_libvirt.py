# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt without a daemon: it stands in for the binding, and refuses what the real one refuses, with its codes.

It has the two layers of every domain, aliases, PCIe ports, guests that do not let go of a device, and a daemon that
can be killed. ``hook`` is called before every call about a domain, and may raise or change anything.
"""

from __future__ import annotations

import copy
import os
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

CONFIG, LIVE = "config", "live"


class libvirtError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def get_error_code(self) -> int:
        return self.code

    def get_error_message(self) -> str:
        return str(self)


class FakeLibvirt:
    """The module ``libvirt``, and the host behind it."""

    libvirtError = libvirtError
    VIR_ERR_INTERNAL_ERROR = 1
    VIR_ERR_XML_ERROR = 27
    VIR_ERR_OPERATION_DENIED = 29
    VIR_ERR_SYSTEM_ERROR = 38
    VIR_ERR_RPC = 39
    VIR_ERR_NO_DOMAIN = 42
    VIR_ERR_AUTH_FAILED = 45
    VIR_ERR_OPERATION_INVALID = 55
    VIR_ERR_CONFIG_UNSUPPORTED = 67
    VIR_ERR_OPERATION_TIMEOUT = 68
    VIR_ERR_ARGUMENT_UNSUPPORTED = 74
    VIR_ERR_AGENT_UNRESPONSIVE = 86
    VIR_ERR_AGENT_UNSYNCED = 97
    VIR_ERR_DEVICE_MISSING = 99
    VIR_DOMAIN_RUNNING = 1
    VIR_DOMAIN_PAUSED = 3
    VIR_DOMAIN_JOB_NONE = 0
    VIR_DOMAIN_XML_INACTIVE = 2
    VIR_DOMAIN_AFFECT_LIVE = 1
    VIR_DOMAIN_AFFECT_CONFIG = 2
    VIR_CONNECT_LIST_DOMAINS_TRANSIENT = 8
    VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE = 256
    VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT = 1024

    def __init__(self) -> None:
        self.all: dict[str, FakeDomain] = {}
        self.connections: list[FakeConnection] = []
        self.writes: list[tuple[str, str, str]] = []  # (guest, call, layer)
        self.writable = True  # False: a write is a fault of the test's subject
        self.down = 0  # how many more connections are refused
        self.hook: Callable[[FakeDomain, str, str], None] = lambda domain, call, layer: None
        self.backends = ["random", "egd", "builtin"]
        # QEMU as the user who runs the tests: sources are then tried without a child process
        self.qemu_user = f"+{os.geteuid()}:+{os.getegid()}"

    def add(self, name: str, config: str | None = "", live: str | None = None, **options: Any) -> FakeDomain:
        """Define and start a guest: each layer is the text of its ``<rng>`` elements, None where it has none."""
        domain = FakeDomain(self, name, config, live, **options)
        self.all[domain.id] = domain
        return domain

    def kill(self) -> None:
        """As kill -9: connections break, guests and what was written stay."""
        for connection in self.connections:
            connection.alive = False

    def open(self, uri: str) -> FakeConnection:
        return self._open(uri, readonly=False)

    def openReadOnly(self, uri: str) -> FakeConnection:
        return self._open(uri, readonly=True)

    def _open(self, uri: str, readonly: bool) -> FakeConnection:
        if self.down:
            self.down -= 1
            raise libvirtError(38, "Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory")
        if uri != "qemu:///system":
            raise libvirtError(1, f"internal error: unexpected qemu URI path '{uri}', try qemu:///system")
        self.connections.append(FakeConnection(self, readonly))
        return self.connections[-1]

    def qemuAgentCommand(self, handle: Handle, command: str, timeout: int, flags: int) -> str:
        """Of the module ``libvirt_qemu``, as is the next one."""
        handle.require_running("agent")
        assert (isinstance(timeout, int) and timeout > 0, flags) == (True, 0)
        return handle.domain.agent(command)

    def qemuMonitorCommand(self, handle: Handle, command: str, flags: int) -> str:
        handle.require_running("monitor")
        assert flags == 0
        return handle.domain.monitor(command)

    def registerErrorHandler(self, handler: object, context: object) -> None:
        assert callable(handler), context


class FakeConnection:
    def __init__(self, host: FakeLibvirt, readonly: bool) -> None:
        self.host, self.readonly, self.alive = host, readonly, True

    def require_daemon(self) -> None:
        if not self.alive:
            raise libvirtError(38, "Cannot recv data: Connection reset by peer")

    def close(self) -> int:
        self.require_daemon()
        self.alive = False
        return 0

    def isAlive(self) -> int:
        return int(self.alive)

    def getLibVersion(self) -> int:
        self.require_daemon()
        return 9000000

    def getCapabilities(self) -> str:
        self.require_daemon()
        dac = f"<model>dac</model><doi>0</doi><baselabel type='kvm'>{self.host.qemu_user}</baselabel>"
        return f"<capabilities><host><secmodel>{dac}</secmodel></host></capabilities>"

    def getDomainCapabilities(self, emulator: str | None, arch: str, machine: str, virttype: str) -> str:
        self.require_daemon()
        if self.readonly:
            raise libvirtError(29, "operation forbidden for read only access")
        assert (emulator, virttype) == ("/usr/bin/qemu-system-x86_64", "qemu"), (arch, machine)
        models = "".join(f"<value>virtio{kind}</value>" for kind in ("", "-transitional", "-non-transitional"))
        backends = "".join(f"<value>{name}</value>" for name in self.host.backends)
        enums = f"<enum name='model'>{models}</enum><enum name='backendModel'>{backends}</enum>"
        return f"<domainCapabilities><devices><rng supported='yes'>{enums}</rng></devices></domainCapabilities>"

    def listAllDomains(self, flags: int = 0) -> list[Handle]:
        self.require_daemon()
        return [Handle(self, domain) for domain in self.host.all.values() if domain.listed(flags)]

    def lookupByUUIDString(self, text: str) -> Handle:
        self.require_daemon()
        if text not in self.host.all:
            raise libvirtError(42, f"Domain not found: no domain with matching uuid '{text}'")
        return Handle(self, self.host.all[text])


class FakeDomain:
    """A guest on the host. ``releases`` is whether it lets go of devices; ``ports`` how many a hot-plug can take.

    ``agent`` and ``monitor`` answer commands with text, or raise.
    """

    def __init__(
        self,
        host: FakeLibvirt,
        name: str,
        config: str | None,
        live: str | None,
        machine: str = "pc-q35-7.2",
        ports: int = 4,
        releases: bool = True,
        managed_save: bool = False,
        snapshots: bool = False,
        agent: Callable[[str], str] | None = None,
        monitor: Callable[[str], str] | None = None,
    ) -> None:
        self.host, self.name, self.id = host, name, str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        self.machine, self.ports, self.releases = machine, ports, releases
        self.managed_save, self.snapshots = managed_save, snapshots
        self.agent = agent or _no_agent
        self.monitor = monitor or _no_agent
        self.channel = "" if agent is None else "connected"  # the state of the agent's channel; without one, nothing
        self.obeys = True  # whether it shuts down when it is asked to
        self.paused = False
        self.job = FakeLibvirt.VIR_DOMAIN_JOB_NONE
        self.layers: dict[str, list[ET.Element]] = {}
        for layer, text in ((CONFIG, config), (LIVE, live)):
            if text is not None:
                self.layers[layer] = []
                for element in ET.fromstring(f"<devices>{text}</devices>"):
                    self.insert(layer, element)

    def listed(self, flags: int) -> bool:
        tests = {
            FakeLibvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT: CONFIG not in self.layers,
            FakeLibvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE: self.managed_save,
            FakeLibvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT: self.snapshots,
        }
        return tests[flags] if flags else True

    def start(self) -> None:
        self.layers[LIVE] = []
        for element in self.layers[CONFIG]:
            self.insert(LIVE, copy.deepcopy(element))

    def stop(self) -> None:
        del self.layers[LIVE]
        if CONFIG not in self.layers:
            del self.host.all[self.id]

    def insert(self, layer: str, element: ET.Element) -> None:
        """Take a device as libvirt does: aliases, ports and what it drops in silence."""
        found = self.layers[layer]
        taken = [alias_of(other) for other in found]
        alias = alias_of(element)
        if not alias.startswith("ua-"):
            for old in element.findall("alias"):
                element.remove(old)
            if layer == LIVE:
                alias = next(name for name in (f"rng{number}" for number in range(99)) if name not in taken)
                ET.SubElement(element, "alias", name=alias)
        elif alias in taken:
            raise libvirtError(67, f"unsupported configuration: non unique alias detected: {alias}")
        if element.find("address") is None:
            buses = {address.get("bus") for other in found for address in other.iterfind("address")}
            free = [f"0x{bus:02x}" for bus in range(1, self.ports + 1) if f"0x{bus:02x}" not in buses]
            if not free and layer == LIVE:
                raise libvirtError(1, "internal error: No more available PCI slots")
            bus = free[0] if free else "0x00"
            ET.SubElement(element, "address", type="pci", domain="0x0000", bus=bus, slot="0x00", function="0x0")
        found.append(element)

    def document(self, layer: str) -> str:
        root = ET.Element("domain", {"type": "qemu", **({"id": "1"} if layer == LIVE else {})})
        ET.SubElement(root, "name").text = self.name
        os_type = ET.SubElement(ET.SubElement(root, "os"), "type", arch="x86_64", machine=self.machine)
        os_type.text = "hvm"
        devices = ET.SubElement(root, "devices")
        ET.SubElement(devices, "emulator").text = "/usr/bin/qemu-system-x86_64"
        if self.machine != "isapc":
            ET.SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
            for index in range(1, self.ports + 1):
                ET.SubElement(devices, "controller", type="pci", index=str(index), model="pcie-root-port")
        if self.channel:
            channel = ET.SubElement(devices, "channel", type="unix")
            state = {"state": self.channel} if layer == LIVE else {}
            ET.SubElement(channel, "target", {"type": "virtio", "name": "org.qemu.guest_agent.0", **state})
        devices.extend(self.layers[layer])
        return ET.tostring(root, encoding="unicode")


class Handle:
    """A domain as one connection sees it."""

    def __init__(self, connection: FakeConnection, domain: FakeDomain) -> None:
        self.connection, self.domain = connection, domain

    def name(self) -> str:
        return self.domain.name

    def UUIDString(self) -> str:
        return self.domain.id

    def ID(self) -> int:
        return 1 if LIVE in self.domain.layers else -1

    def isActive(self) -> int:
        self._require_domain()
        return int(LIVE in self.domain.layers)

    def isPersistent(self) -> int:
        self._require_domain()
        return int(CONFIG in self.domain.layers)

    def state(self) -> list[int]:
        self._require("state", LIVE)
        return [FakeLibvirt.VIR_DOMAIN_PAUSED if self.domain.paused else FakeLibvirt.VIR_DOMAIN_RUNNING, 1]

    def jobInfo(self) -> list[int]:
        self._require("jobInfo", LIVE)
        return [self.domain.job]

    def shutdown(self) -> int:
        self._write("shutdown", FakeLibvirt.VIR_DOMAIN_AFFECT_LIVE)
        if self.domain.obeys:
            self.domain.stop()
        return 0

    def destroy(self) -> int:
        self._write("destroy", FakeLibvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.domain.stop()
        return 0

    def create(self) -> int:
        self._write("create", FakeLibvirt.VIR_DOMAIN_AFFECT_CONFIG)
        if LIVE in self.domain.layers:
            raise libvirtError(55, "Requested operation is not valid: domain is already running")
        self.domain.start()
        return 0

    def XMLDesc(self, flags: int = 0) -> str:
        layer = CONFIG if flags else LIVE
        self._require("XMLDesc", layer)
        # Without the flag libvirt prints what there is: the configuration of a guest that is off, and the other way.
        return self.domain.document(layer if layer in self.domain.layers else next(iter(self.domain.layers)))

    def attachDeviceFlags(self, xml: str, flags: int) -> int:
        layer = self._write("attach", flags)
        self.domain.insert(layer, ET.fromstring(xml))
        return 0

    def detachDeviceAlias(self, alias: str, flags: int) -> int:
        layer = self._write("detach", flags)
        for element in self.domain.layers[layer]:
            if alias_of(element) == alias:
                return self._remove(layer, element)
        raise libvirtError(1, f"internal error: no device found with alias {alias}")

    def detachDeviceFlags(self, xml: str, flags: int) -> int:
        layer = self._write("detach", flags)
        given = ET.fromstring(xml)
        for element in self.domain.layers[layer]:
            if all(same(given.find(tag), element.find(tag)) for tag in ("alias", "address", "backend", "rate")):
                return self._remove(layer, element)
        raise libvirtError(99, "device not found: matching RNG device not found")

    def _remove(self, layer: str, element: ET.Element) -> int:
        if layer == CONFIG or self.domain.releases:
            self.domain.layers[layer].remove(element)
        return 0

    def _write(self, call: str, flags: int) -> str:
        layer = {1: LIVE, 2: CONFIG}[flags]
        assert self.connection.host.writable, f"{call} {layer} of {self.domain.name}"
        self._require(call, layer)
        if self.connection.readonly:
            raise libvirtError(29, "operation forbidden for read only access")
        if layer not in self.domain.layers:
            why = "cannot modify device on transient domain" if layer == CONFIG else "domain is not running"
            raise libvirtError(55, f"Requested operation is not valid: {why}")
        self.connection.host.writes.append((self.domain.name, call, layer))
        return layer

    def require_running(self, call: str) -> None:
        """Refuse what libvirt refuses for a guest that is off, or over a connection that only reads."""
        self._require(call, LIVE)
        if self.connection.readonly:
            raise libvirtError(29, "operation forbidden for read only access")
        if LIVE not in self.domain.layers:
            raise libvirtError(55, "Requested operation is not valid: domain is not running")

    def _require(self, call: str, layer: str) -> None:
        self.connection.host.hook(self.domain, call, layer)
        self._require_domain()

    def _require_domain(self) -> None:
        self.connection.require_daemon()
        if self.domain.id not in self.connection.host.all:
            raise libvirtError(42, f"Domain not found: no domain with matching uuid '{self.domain.id}'")


def _no_agent(command: str) -> str:
    raise libvirtError(74, f"argument unsupported: QEMU guest agent is not configured ({command})")


def alias_of(element: ET.Element) -> str:
    alias = element.find("alias")
    return "" if alias is None else alias.get("name", "")


def same(given: ET.Element | None, found: ET.Element | None) -> bool:
    """libvirt compares what is given; an alias or address that is left out matches any."""
    if given is None:
        return found is None or found.tag in ("alias", "address")
    return found is not None and (given.attrib, given.text) == (found.attrib, found.text)
