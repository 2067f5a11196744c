# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's configuration files (-readconfig) <-> our values. What is not ours stays byte for byte.

The grammar is QEMU's own: a comment begins in the first column, a value is in double quotes, there is no escape.
Our part of a file is appended under a comment that names it, and cut out again, with the end of the line before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..device import MAX_PERIOD, RngDevice, Source
from ..errors import GuestError, RngError
from ..observation import FoundDevice
from ..text import printable
from .qemu_words import is_port, is_rng
from .qmp import DRIVER_PROPERTIES, RECONNECT, SOCKET_SUFFIX, SOURCE_SUFFIX, qemu_driver

MAX_LINE = 1000  # QEMU reads 1023 characters at a time
_TRUE = ("on", "yes", "true", "y")

_HEADER = re.compile(r'\[(\S{1,63})\s+"([^"]{1,63})"')
_GROUP = re.compile(r"\[([^\]]{1,63})\]")
_OPTION = re.compile(r'\s*(\S{1,63})\s+=\s*"([^"]*)"')
_MARK = re.compile(
    r"# (ua-fleet-rng(?:-[0-9]+)?): by the Ansible collection fleet\.rng( \(after a line without an end\))?"
)

Properties = Mapping[str, str]


@dataclass(frozen=True)
class Section:
    """One section: its group and id, its options, and its lines from the header to the last option."""

    group: str
    id: str
    options: Properties
    first: int
    last: int

    def as_properties(self) -> Properties:
        return {**self.options, "id": self.id} if self.id else self.options


@dataclass(frozen=True)
class File:
    """A file that was read. ``lines`` keep their ends."""

    lines: Tuple[str, ...]
    sections: Tuple[Section, ...]

    def of(self, group: str) -> List[Section]:
        return [section for section in self.sections if section.group == group]

    def value(self, group: str, name: str) -> str:
        return next((section.options[name] for section in self.of(group) if name in section.options), "")

    @property
    def ports(self) -> Tuple[str, ...]:
        """The root ports that it defines, by id."""
        return tuple(section.id for section in self.of("device") if is_port(section.options) and section.id)

    @property
    def buses(self) -> Tuple[str, ...]:
        """The buses that its devices name."""
        return tuple(section.options["bus"] for section in self.of("device") if "bus" in section.options)

    @property
    def has_own(self) -> bool:
        return any(_MARK.match(line) for line in self.lines)


def parse(text: str) -> File:
    """Read a file as QEMU does.

    :raises GuestError: where QEMU would not start with it.
    """
    lines = tuple(re.findall(r"[^\n]*\n|[^\n]+", text))
    sections: List[Section] = []
    for number, line in enumerate(lines):
        if line == "\n" or line.startswith("#"):
            continue
        if len(line) > MAX_LINE:
            raise GuestError(f"line {number + 1} is longer than {MAX_LINE} characters")
        header = _HEADER.match(line) or _GROUP.match(line)
        option = _OPTION.match(line)
        if header:
            identity = header[2] if header.re is _HEADER else ""
            sections.append(Section(header[1], identity, {}, number, number))
        elif option and sections:
            last = sections[-1]
            options = {**last.options, option[1]: option[2]}
            sections[-1] = Section(last.group, last.id, options, last.first, number)
        else:
            # Without what is there: it may be any file.
            raise GuestError(
                f"line {number + 1} is not of a QEMU configuration file, which has comments with # in the first column,"
                ' [group] or [group "id"], and below it name = "value"'
            )
    return File(lines, tuple(sections))


def find_rngs(
    file: File, objects: Sequence[Properties] = (), chardevs: Sequence[Properties] = ()
) -> Tuple[FoundDevice, ...]:
    """The RNGs of a file. ``handle`` is the number of the section.

    :param objects: what the command line defines besides; so do ``chardevs``.
    """
    known = {item["id"]: item for item in (*objects, *_named(file, "object")) if "id" in item}
    sockets = {item["id"]: item for item in (*chardevs, *_named(file, "chardev")) if "id" in item}
    found = []
    for number, section in enumerate(file.sections):
        if section.group == "device" and is_rng(section.options):
            found.append(describe(section.as_properties(), known, sockets, str(number)))
    return tuple(found)


def _named(file: File, group: str) -> List[Properties]:
    return [section.as_properties() for section in file.of(group)]


def describe(
    device: Properties, objects: Mapping[str, Properties], chardevs: Mapping[str, Properties], handle: str = ""
) -> FoundDevice:
    """An RNG as QEMU's options describe it."""
    alias = device.get("id", "")
    try:
        kind = device["driver"]
        model = "virtio" + kind[len("virtio-rng-pci") :] if kind.startswith("virtio-rng-pci") else "virtio"
        options = {name: device.get(there, "off") in _TRUE for name, there in DRIVER_PROPERTIES.items()}
        made = RngDevice.from_wire(
            {
                "source": str(_source(device, objects, chardevs)),
                **_rate(device),
                "model": model,
                "driver": {name: True for name, on in options.items() if on},
            }
        )
        return FoundDevice(made, alias, handle=handle)
    except RngError as error:
        return FoundDevice(None, alias, printable(str(error)), handle)


def _rate(device: Properties) -> Dict[str, object]:
    """Without max-bytes there is no limit, and then the period means nothing. QEMU's own default for that is odd."""
    if "max-bytes" not in device:
        return {"max_bytes": "unlimited"}
    return {"max_bytes": _number(device["max-bytes"]), "period": _number(device.get("period", "65536"))}


def _number(text: str) -> object:
    return int(text, 0) if re.fullmatch(r"0x[0-9a-fA-F]{1,16}|[1-9][0-9]{0,19}|0", text) else text


def _source(device: Properties, objects: Mapping[str, Properties], chardevs: Mapping[str, Properties]) -> Source:
    if "rng" not in device:
        return Source("builtin")
    backend = objects.get(device["rng"], {})
    kind = backend.get("qom-type", "")
    if kind == "rng-builtin":
        return Source("builtin")
    if kind == "rng-random":
        return Source.parse(backend.get("filename", "/dev/urandom"))
    if kind != "rng-egd":
        raise GuestError(f"backend {printable(device['rng'], 60)}, which is not defined there")
    chardev = chardevs.get(backend.get("chardev", ""), {})
    if chardev.get("backend") == "socket" and chardev.get("server", "off") not in _TRUE:
        if chardev.get("path"):
            return Source.parse(f"egd+unix:{chardev['path']}")
        host = chardev.get("host", "")
        return Source.parse(f"egd+tcp://{f'[{host}]' if ':' in host else host}:{chardev.get('port', '')}")
    raise GuestError("an EGD backend that does not connect to a socket")


# Changing ------------------------------------------------------------------------------------------------------------


def add(text: str, device: RngDevice, alias: str, driver: str = "virtio-rng-pci", bus: str = "") -> str:
    """The file with one more RNG at its end."""
    cut = bool(text) and not text.endswith("\n")
    return text + ("\n" if cut else "") + _mark(alias, cut) + render(device, alias, driver, bus)


def render(device: RngDevice, alias: str, driver: str = "virtio-rng-pci", bus: str = "") -> str:
    """The sections of one RNG."""
    source, socket = alias + SOURCE_SUFFIX, alias + SOCKET_SUFFIX
    made: List[Tuple[str, str, Dict[str, str]]] = []
    backend = {"qom-type": f"rng-{device.source.kind}"}
    if device.source.kind == "random":
        backend["filename"] = device.source.path
    elif device.source.kind == "egd":
        where = {"path": device.source.path}
        if device.source.transport == "tcp":
            where = {"host": device.source.host, "port": str(device.source.port)}
        made.append(("chardev", socket, {"backend": "socket", **where, "reconnect": str(RECONNECT)}))
        backend["chardev"] = socket
    made.append(("object", source, backend))
    options = {"driver": qemu_driver(device.model, driver), "rng": source}
    if bus:
        options["bus"] = bus
    if device.rate.max_bytes is not None:
        options.update({"max-bytes": str(device.rate.max_bytes), "period": str(min(device.rate.period, MAX_PERIOD))})
    options.update({DRIVER_PROPERTIES[name]: "on" if on else "off" for name, on in device.driver})
    made.append(("device", alias, options))
    return "".join(_section(*section) for section in made)


def remove(text: str, found: FoundDevice) -> str:
    """The file without this RNG, its backend and its chardev where nothing else there uses them.

    :raises GuestError: when the file no longer has it.
    """
    file = parse(text)
    device = _same(file, found)
    if device is None:
        raise GuestError("its configuration file changed meanwhile; run again")
    gone = [device]
    for group, name in (("object", "rng"), ("chardev", "chardev")):
        wanted = gone[-1].options.get(name)
        users = [section for section in file.sections if section.options.get(name) == wanted and section not in gone]
        behind = next((section for section in file.of(group) if section.id == wanted), None)
        if wanted is None or behind is None or users:
            break
        gone.append(behind)
    lines: List[Optional[str]] = list(file.lines)
    for section in gone:
        for number in range(section.first, section.last + 1):
            lines[number] = None
    _cut_mark(lines, found.alias)
    return "".join(line for line in lines if line is not None)


def _same(file: File, found: FoundDevice) -> Optional[Section]:
    """By id, else by its place, as long as the same is still there."""
    devices = [section for section in file.of("device") if is_rng(section.options)]
    if found.alias:
        return next((section for section in devices if section.id == found.alias), None)
    number = int(found.handle) if found.handle.isdigit() else -1
    there = file.sections[number] if 0 <= number < len(file.sections) else None
    again = next((item for item in find_rngs(file) if item.handle == found.handle), None)
    return there if there in devices and again is not None and not again.alias else None


def _cut_mark(lines: List[Optional[str]], alias: str) -> None:
    """Without the comment over our part, and the end of the line before, where it had none."""
    for number, line in enumerate(lines):
        mark = _MARK.match(line) if line else None
        if mark is None or mark[1] != alias:
            continue
        lines[number] = None
        following = next((at for at in range(number, len(lines)) if lines[at] is not None), None)
        if not mark[2]:
            return
        if following is None:
            before = next((at for at in range(number - 1, -1, -1) if lines[at] is not None), None)
            if before is not None:
                lines[before] = str(lines[before])[:-1]
            return
        other = _MARK.match(str(lines[following]))
        if other is not None:
            lines[following] = _mark(other[1], True)
        return


def _mark(alias: str, cut: bool) -> str:
    return f"# {alias}: by the Ansible collection fleet.rng{' (after a line without an end)' if cut else ''}\n"


def _section(group: str, identity: str, options: Properties) -> str:
    return f'[{group} "{identity}"]\n' + "".join(f'  {name} = "{value}"\n' for name, value in options.items())
