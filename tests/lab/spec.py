# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab consists of, read from YAML or JSON. Unknown keys are errors: a typing mistake must not weaken a test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .errors import LabError

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}")
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")

# What a guest's agent does: tests/lab/README.md says more.
AGENTS = ("alive", "no_files", "windows", "freebsd", "megabytes", "garbage", "hung", "absent")
AGENTS_WITHOUT_PING = ("garbage", "hung", "absent")
SMALLEST_DISTRIBUTION = 384  # MiB

# What starts the guests of a host. A host that is "none" is a machine with sshd and nothing else.
KINDS = ("libvirt", "qemu", "proxmox", "ganeti", "none")
ONLY = {  # keys of guests that one kind has
    "libvirt": ("rng", "devices", "domain", "distribution"),
    "qemu": ("readconfig",),
    "proxmox": ("config",),
    "ganeti": ("parameters",),
}

T = TypeVar("T", bound="HostSpec | GuestSpec | HwRng")


@dataclass(frozen=True)
class HwRng:
    """The hardware RNG that a host pretends to have.

    ``device`` is what /dev/hwrng is: ``urandom`` (gives bytes), ``real`` (the machine's own node; mostly nothing
    behind it) or ``none``. Without a HwRng in its spec a host sees the machine's own.
    """

    current: str = "none"
    available: tuple[str, ...] = ()
    selected: bool = False
    quality: int = 1024
    device: str = "urandom"
    mode: str = "0600"

    def files(self) -> dict[str, str]:
        """The files of /sys/class/misc/hw_random."""
        return {
            "rng_current": self.current + "\n",
            "rng_available": " ".join(self.available) + "\n",
            "rng_selected": f"{int(self.selected)}\n",
            "rng_quality": f"{self.quality}\n",
        }


@dataclass(frozen=True)
class GuestSpec:
    """One guest. ``rng``, ``devices`` and ``domain`` are XML that goes into <devices> and <domain> as it stands.

    On a host of plain QEMU there is ``readconfig`` instead: what the guest's ``-readconfig`` file holds at first.
    On a Proxmox VE node it is ``config``: lines of its file, then its sections, each after an empty line. In a Ganeti
    cluster it is ``parameters``: hypervisor parameters of its own, as ``name=value``.
    ``spare_ports`` counts the PCIe root ports left free on q35: 0 gives a guest that cannot take another device while
    it runs. ``firmware_only`` boots no system: such a guest never acknowledges an unplug. ``ssh`` boots the image with
    python3 and an SSH server, reachable from the controller. ``agent`` is one of ``AGENTS``. Without ``driver`` the
    guest does not load virtio_rng: a device may be attached, and nothing uses it. ``os_name`` is the PRETTY_NAME of its
    /etc/os-release, any text.

    ``distribution`` boots a disk of its own with this machine's distribution in place of the lab's small system: a real
    one with systemd, udev, an initramfs and a boot loader, which keeps its changes. It has SSH, Python and an agent,
    takes half a minute to boot, and wants a ``memory`` of 384 MiB or more.
    """

    name: str
    machine: str = "q35"
    spare_ports: int = 4
    running: bool = True
    firmware_only: bool = False
    ssh: bool = False
    memory: int = 160
    groups: tuple[str, ...] = ()
    rng: str = ""
    devices: str = ""
    domain: str = ""
    readconfig: str = ""
    config: str = ""
    parameters: tuple[str, ...] = ()
    cmdline: str = ""
    agent: str = "alive"
    driver: bool = True
    os_name: str = ""
    distribution: bool = False

    @property
    def boots(self) -> bool:
        """Whether it boots a system of the lab, which says so on its console."""
        return not self.firmware_only and self.machine not in ("isapc", "microvm")

    @property
    def networked(self) -> bool:
        """Whether it has an address, and is reachable by SSH."""
        return self.ssh or self.distribution

    @property
    def has_agent(self) -> bool:
        """Whether an agent will answer guest-ping once it runs."""
        return self.boots and self.agent not in AGENTS_WITHOUT_PING


@dataclass(frozen=True)
class HostSpec:
    """One host. ``kind`` is what starts its guests: one of ``KINDS``. Without libvirt it is up in a moment."""

    name: str
    kind: str = "libvirt"
    hwrng: HwRng | None = None
    guests: tuple[GuestSpec, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabSpec:
    """A whole lab."""

    hosts: tuple[HostSpec, ...] = field(default_factory=tuple)

    @classmethod
    def load(cls, path: str | Path) -> LabSpec:
        """Read a YAML or JSON file."""
        try:
            return cls.parse(yaml.safe_load(Path(path).read_text()))
        except (OSError, yaml.YAMLError) as error:
            raise LabError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, data: Any) -> LabSpec:
        """From ``{hosts: {name: {..., guests: {name: {...}}}}}``."""
        given = _mapping("the spec", data)
        if set(given) != {"hosts"}:
            raise LabError("the spec has exactly one key: hosts")
        hosts = tuple(_host(name, entry) for name, entry in _mapping("hosts", given["hosts"]).items())
        if not hosts:
            raise LabError("hosts: at least one is needed")
        return cls(hosts)

    def to_data(self) -> dict[str, Any]:
        """The inverse of :meth:`parse`, made of plain values."""
        hosts = {}
        for host in self.hosts:
            entry = asdict(host)
            del entry["name"]
            entry["guests"] = {guest.pop("name"): guest for guest in entry["guests"]}
            hosts[host.name] = entry
        return {"hosts": hosts}

    @property
    def needs_ssh_guests(self) -> bool:
        """Whether the larger guest image is needed."""
        return any(guest.ssh for host in self.hosts for guest in host.guests)

    @property
    def needs_distribution(self) -> bool:
        """Whether a disk with a distribution is needed."""
        return any(guest.distribution for host in self.hosts for guest in host.guests)


def _host(name: str, data: Any) -> HostSpec:
    if not HOST_NAME.fullmatch(name):
        raise LabError(f"host {name!r}: lower case letters, digits and inner dashes, at most 32")
    entry = dict(_mapping(f"host {name}", data))
    hwrng = entry.pop("hwrng", None)
    guests = _mapping(f"host {name}: guests", entry.pop("guests", None))
    host = _build(HostSpec, f"host {name}", name, entry)
    if host.kind not in KINDS:
        raise LabError(f"host {name}: kind is one of {', '.join(KINDS)}, not {host.kind!r}")
    if guests and host.kind == "none":
        raise LabError(f"host {name}: nothing starts guests there: its kind is none")
    return HostSpec(
        **{
            **{item.name: getattr(host, item.name) for item in fields(host)},
            "hwrng": None if hwrng is None else _hwrng(name, hwrng),
            "guests": tuple(_guest(guest, host, given) for guest, given in guests.items()),
        }
    )


def _guest(name: str, host: HostSpec, data: Any) -> GuestSpec:
    where = f"guest {name} of {host.name}"
    guest = _build(GuestSpec, where, name, _mapping(where, data))
    if guest.agent not in AGENTS:
        raise LabError(f"{where}: agent is one of {', '.join(AGENTS)}, not {guest.agent!r}")
    for kind, keys in ONLY.items():
        for key in keys:
            if kind != host.kind and getattr(guest, key):
                raise LabError(f"{where}: {key} is for hosts of kind {kind}, and {host.name} is of kind {host.kind}")
    if host.kind in ("proxmox", "ganeti") and (guest.ssh or guest.agent in AGENTS_WITHOUT_PING):
        raise LabError(f"{where}: a guest of {host.kind} has neither ssh nor an agent that does not answer")
    if host.kind == "qemu" and not FILE_NAME.fullmatch(name):
        raise LabError(f"{where}: guests of plain QEMU have names that are names of files: {FILE_NAME.pattern}")
    usual = guest.boots and guest.driver and guest.agent == "alive" and not guest.os_name and not guest.cmdline
    if guest.distribution and not usual:
        raise LabError(f"{where}: agent, driver, os_name, cmdline, firmware_only are for guests without distribution")
    if guest.distribution and guest.memory < SMALLEST_DISTRIBUTION:
        raise LabError(f"{where}: a distribution needs a memory of {SMALLEST_DISTRIBUTION} MiB, not {guest.memory}")
    return guest


def _hwrng(host: str, data: Any) -> HwRng:
    hwrng = _build(HwRng, f"host {host}: hwrng", None, _mapping(f"host {host}: hwrng", data))
    if hwrng.device not in ("urandom", "real", "none"):
        raise LabError(f"host {host}: hwrng.device is urandom, real or none, not {hwrng.device!r}")
    if not re.fullmatch(r"0[0-7]{3}", hwrng.mode):
        raise LabError(f"host {host}: hwrng.mode is an octal string such as '0600'")
    return hwrng


def _build(kind: type[T], where: str, name: str | None, given: Mapping[str, Any]) -> T:
    """A value of a dataclass from a mapping, each field of the type of its default."""
    values: dict[str, Any] = {} if name is None else {"name": name}
    defaults = {item.name: item.default for item in fields(kind) if item.name != "name"}
    for key, value in given.items():
        if key not in defaults:
            raise LabError(f"{where}: unknown key {key!r}; known: {', '.join(defaults)}")
        wanted = type(defaults[key])
        if wanted is tuple and isinstance(value, (list, tuple)):
            value = tuple(str(item) for item in value)
        if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool):  # True is an int
            raise LabError(f"{where}: {key}: {value!r} is not of type {wanted.__name__}")
        values[key] = value
    return kind(**values)


def _mapping(where: str, data: Any) -> Mapping[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise LabError(f"{where}: a mapping is needed, not {data!r}")
    for key in data:
        if not isinstance(key, str):  # YAML reads off, no and 5 as something else
            raise LabError(f"{where}: the key {key!r} is not a string; put it in quotes")
    return data
