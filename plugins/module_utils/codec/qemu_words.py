# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of QEMU's command line -> what they say of a guest, its monitors and its RNGs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

AGENT_PORT = "org.qemu.guest_agent.0"

# Who starts guests in its own way, by what its command lines have: their guests are not ours to change.
_MANAGERS = (
    ("libvirt", ("/var/lib/libvirt/", "/run/libvirt/", "/var/run/libvirt/")),
    ("Proxmox VE", ("/var/run/qemu-server/", "/run/qemu-server/")),
    ("Ganeti", ("/var/run/ganeti/", "/run/ganeti/")),
)

# The options without a value; the word after any other is its value, whatever that begins with.
# fmt: off
_ALONE = frozenset((
    "h", "help", "version", "S", "snapshot", "s", "no-reboot", "no-shutdown", "nographic", "nodefaults",
    "nodefconfig", "no-user-config", "daemonize", "enable-kvm", "full-screen", "no-acpi", "no-hpet",
    "no-fd-bootchk", "win2k-hack", "no-quit", "no-frame", "alt-grab", "ctrl-grab", "singlestep",
    "one-insn-per-tb", "mem-prealloc", "preconfig", "semihosting", "old-param", "curses", "sdl", "usb",
    "xen-attach", "xen-domid-restrict", "enable-fips", "enable-sync-profile", "no-kvm", "no-kvm-irqchip",
    "no-kvm-pit-reinjection", "show-cursor", "localtime", "portrait", "rtc-td-hack", "tdf", "prom-env-help",
    "audio-help", "only-migratable",
))
# fmt: on
_TRUE = ("on", "yes", "true", "y", "1")


@dataclass(frozen=True)
class Words:
    """What matters of one command line. Paths are as written there, relative ones too.

    ``rngs`` are its own ``-device virtio-rng…``, each as a mapping of its properties; ``objects`` and ``chardevs``
    are by id. ``buses`` are the buses that its devices name, ``ports`` the root ports that are there before its last
    configuration file is read.
    """

    name: str = ""
    uuid: str = ""
    machine: str = ""
    manager: str = ""
    monitors: Tuple[str, ...] = ()
    agent: str = ""
    agent_chardev: str = ""
    config_files: Tuple[str, ...] = ()
    rngs: Tuple[Mapping[str, str], ...] = ()
    objects: Tuple[Mapping[str, str], ...] = ()
    chardevs: Tuple[Mapping[str, str], ...] = ()
    buses: Tuple[str, ...] = ()
    ports: Tuple[str, ...] = ()


def parse_words(words: Sequence[str]) -> Words:
    """Read a command line, program included."""
    options = _options(words)
    devices = [parse_properties(value, "driver") for name, value in options if name == "device"]
    objects = [parse_properties(value, "qom-type") for name, value in options if name == "object"]
    chardevs = [parse_properties(value, "backend") for name, value in options if name == "chardev"]
    names = [parse_properties(value, "guest") for name, value in options if name == "name"]
    machines = [parse_properties(value, "type") for name, value in options if name in ("M", "machine")]
    agent = _agent(devices, chardevs)
    return Words(
        name=next((found["guest"] for found in reversed(names) if found.get("guest")), ""),
        uuid=next((value.lower() for name, value in reversed(options) if name == "uuid"), ""),
        machine=next((found["type"] for found in reversed(machines) if found.get("type")), ""),
        manager=_manager(options, objects),
        monitors=_monitors(options, chardevs),
        agent=agent.get("path", ""),
        agent_chardev=agent.get("id", ""),
        config_files=tuple(value for name, value in options if name == "readconfig"),
        rngs=tuple(found for found in devices if is_rng(found)),
        objects=tuple(found for found in objects if found.get("qom-type", "").startswith("rng-")),
        chardevs=tuple(chardevs),
        buses=tuple(found["bus"] for found in devices if "bus" in found),
        ports=_ports(options),
    )


def is_rng(device: Mapping[str, str]) -> bool:
    return device.get("driver", "").startswith("virtio-rng-")


def is_port(device: Mapping[str, str]) -> bool:
    return device.get("driver") in ("pcie-root-port", "ioh3420")


def manager_of(path: str) -> str:
    """Who has its sockets there, if anybody who starts guests in its own way."""
    return next((name for name, places in _MANAGERS if path.startswith(places)), "")


def parse_properties(text: str, implied: str) -> Dict[str, str]:
    """QEMU's ``a,b=c,d=e,,f``: the first may come without its name, ``,,`` is a comma; or the same as JSON."""
    if text.startswith("{"):
        return _from_json(text)
    found: Dict[str, str] = {}
    for number, part in enumerate(text.replace(",,", "\0").split(",")):
        name, equals, value = part.replace("\0", ",").partition("=")
        if equals:
            found[name] = value
        elif number == 0:
            found[implied] = name
        elif name.startswith("no") and name not in ("no", "nodelay"):
            found[name[2:]] = "off"
        else:
            found[name] = "on"
    return found


def _from_json(text: str) -> Dict[str, str]:
    try:
        found = json.loads(text[:65536])
    except (ValueError, RecursionError):
        return {}
    flat = {name: value for name, value in found.items() if isinstance(value, (str, int))}
    spelled = {True: "on", False: "off"}
    return {name: spelled[value] if isinstance(value, bool) else str(value) for name, value in flat.items()}


def _options(words: Sequence[str]) -> List[Tuple[str, str]]:
    found = []
    at = 1
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or word == "-":
            continue  # a disk image
        name = word[2:] if word.startswith("--") else word[1:]
        if name not in _ALONE and at < len(words):
            found.append((name, words[at]))
            at += 1
    return found


def _ports(options: Sequence[Tuple[str, str]]) -> Tuple[str, ...]:
    """QEMU makes devices in the order in which it reads them, and those that are written as JSON after all others."""
    before = max((number for number, option in enumerate(options) if option[0] == "readconfig"), default=0)
    devices = [
        parse_properties(value, "driver")
        for name, value in options[:before]
        if name == "device" and not value.startswith("{")
    ]
    return tuple(found["id"] for found in devices if is_port(found) and "id" in found)


def _monitors(options: Sequence[Tuple[str, str]], chardevs: Sequence[Mapping[str, str]]) -> Tuple[str, ...]:
    """The UNIX sockets on which it listens for QMP."""
    found = []
    for name, value in options:
        if name in ("qmp", "qmp-pretty") and value.startswith("unix:"):
            address = parse_properties("path=" + value[len("unix:") :], "path")
            if _listens(address):
                found.append(address["path"])
    named = {chardev.get("id"): chardev for chardev in chardevs}
    for name, value in options:
        monitor = parse_properties(value, "chardev") if name == "mon" else {}
        chardev = named.get(monitor.get("chardev"), {})
        if monitor.get("mode") == "control" and chardev.get("backend") == "socket" and _listens(chardev):
            found.append(chardev["path"])
    return tuple(path for path in found if path)


def _listens(address: Mapping[str, str]) -> bool:
    return bool(address.get("path")) and address.get("server", "off") in _TRUE


def _agent(devices: Sequence[Mapping[str, str]], chardevs: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """The chardev behind the port of the guest's agent, where that is a UNIX socket."""
    named = {chardev.get("id"): chardev for chardev in chardevs}
    for device in devices:
        if device.get("driver") == "virtserialport" and device.get("name") == AGENT_PORT:
            chardev = named.get(device.get("chardev"), {})
            if chardev.get("backend") == "socket" and _listens(chardev):
                return chardev
    return {}


def _manager(options: Sequence[Tuple[str, str]], objects: Sequence[Mapping[str, str]]) -> str:
    if any(found.get("qom-type") == "secret" and found.get("id") == "masterKey0" for found in objects):
        return "libvirt"
    for name, value in options:
        if name in ("chardev", "qmp", "pidfile", "mon", "monitor", "object"):
            for manager, places in _MANAGERS:
                if any(place in value for place in places):
                    return manager
    return ""
