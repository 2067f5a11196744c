# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next start of a plain QEMU guest: its command line, and the configuration files that it reads."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..codec import readconfig
from ..converge import is_own
from ..device import RngDevice
from ..errors import GuestError
from ..observation import Devices, FoundDevice
from ..text import printable
from ..transport import config_file, process
from .qemu_guests import Entry, absolute
from .qemu_options import Options

SUFFIX = ".cfg"

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@:-]{0,199}")
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_STRANGE = "belongs to another user than its process, and its directory is not among config_roots"
_NOTHING = "nothing to write: its start command has no -readconfig file; changed while it runs only"


@dataclass(frozen=True)
class Config:
    """What the next start gives a guest. ``path`` is the file to write, or nothing where there is none.

    ``ports`` are root ports that are there at that start and that nothing else takes.
    """

    path: str = ""
    rngs: Optional[Devices] = None
    ports: Tuple[str, ...] = ()
    machine: str = ""
    notes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class _Way:
    """A file that a command line names: its text, or why it is not read; and why it may not be written."""

    path: str
    text: str = ""
    unread: str = ""
    unwritten: str = ""


def look(entry: Entry, options: Options) -> Config:
    """The configuration of one guest. What cannot be read or may not be written is told in its notes."""
    ways = [_follow(entry.pid, absolute(entry.pid, path), options.config_roots) for path in entry.words.config_files]
    try:
        path, why = _locate(entry, ways, options)
        hidden = next((way for way in ways if way.unread and not _same(entry.pid, way.path, path)), None)
        if hidden is not None:  # then nobody knows what the next start has
            return Config(notes=(f"its configuration file is left alone: {hidden.unread}",))
        if not path:
            return Config(notes=(why,))
        return _read(entry, path, ways)
    except GuestError as error:
        return Config(notes=(f"its configuration file is left alone: {error}",))


def names(options: Options) -> Tuple[str, ...]:
    """The guests that have a configuration file, whether they run or not."""
    found = {name for name, dummy in options.configs}
    if options.config_dir:
        try:
            listed = os.listdir(options.config_dir)
        except OSError:
            listed = []
        stems = (name[: -len(SUFFIX)] for name in listed if name.endswith(SUFFIX))
        found.update(stem for stem in stems if _FILE_NAME.fullmatch(stem))
    return tuple(sorted(found))


def add(config: Config, device: RngDevice, alias: str, driver: str) -> None:
    """Write an RNG into the file, in the place of another one of ours there.

    In one step, since a file with both would need room for both at the next start.
    """

    def edit(text: str) -> str:
        for found in readconfig.find_rngs(readconfig.parse(text)):
            if is_own(found):
                text = readconfig.remove(text, found)
        file = readconfig.parse(text)
        taken = {section.id for section in file.of("device")}
        if alias in taken:
            raise GuestError(f"its configuration file has another device {alias}")
        free = [port for port in config.ports if port not in file.buses]
        bus = free[0] if driver == "virtio-rng-pci" and free else ""
        text = readconfig.add(text, device, alias, driver, bus)
        readconfig.parse(text)  # a path can be longer than a line may be
        return text

    config_file.change(config.path, edit)


def remove(config: Config, found: FoundDevice) -> None:
    """Take an RNG out of the file.

    :raises GuestError: when it does not come from there.
    """
    if not found.handle:
        raise GuestError(
            f"{printable(str(found), 200)} is given on its command line, or by a file that {printable(config.path)} is "
            "not: it has to be taken away there"
        )

    def edit(text: str) -> str:
        if is_own(found) and found.alias not in {section.id for section in readconfig.parse(text).sections}:
            return text  # replaced already
        return readconfig.remove(text, found)

    config_file.change(config.path, edit)


def _locate(entry: Entry, ways: Sequence[_Way], options: Options) -> Tuple[str, str]:
    """The file to write, or why there is none."""
    mapped = dict(options.configs).get(entry.name)
    if mapped:
        return mapped, ""
    usable = []
    why = _NOTHING
    for way in ways:
        if way.unread or way.unwritten:
            why = f"its configuration file is left alone: {way.unread or way.unwritten}"
        else:
            usable.append(way)
    own = [way for way in usable if _parsed(way.path, way.text).has_own]
    if usable:
        return (own or usable)[-1].path, ""
    if options.config_dir and _FILE_NAME.fullmatch(entry.name):
        return os.path.join(options.config_dir, entry.name + SUFFIX), ""
    if options.config_dir:
        why += f"; and {printable(entry.name, 60)} is no name for a file in config_dir"
    return "", why


def _follow(pid: int, path: str, roots: Tuple[str, ...]) -> _Way:
    """A file that a process names. Anybody can start a QEMU that names a file of somebody else.

    So it is only read where it may be written, or where everybody may read it.
    """
    shown = printable(path) or "a file below a directory that is not to be seen"
    unwritten = ""

    def check(real: str, status: os.stat_result) -> None:
        nonlocal unwritten
        why = _why_another(pid, path, real, status)
        if not why and not _is_trusted(pid, real, status, roots):
            unwritten = f"{shown} {_STRANGE}"
            why = "" if _is_public(real, status) else f"{_STRANGE}, and not everybody may read it"
        if why:
            raise GuestError(f"{shown} {why}")

    try:
        if not path or os.path.realpath(path).startswith(_NO_FILES):
            raise GuestError(f"{shown} is no file of this host")
        text = config_file.read(path, check)
    except GuestError as error:
        return _Way(path, unread=str(error))
    if text is None:
        return _Way(path, unread=f"{shown} is not to be seen on this host")
    return _Way(path, text, unwritten=unwritten)


def _why_another(pid: int, path: str, real: str, status: os.stat_result) -> str:
    """Why what is there on this host is not what the process reads."""
    if real.startswith(_NO_FILES):
        return "is no file of this host"
    try:
        there = os.stat(f"{process.PROC}/{pid}/root{path}")
    except (OSError, ValueError):
        return "is not to be seen as its QEMU sees it; become may be needed"
    return "" if os.path.samestat(status, there) else "is another file for its QEMU"


def _is_trusted(pid: int, real: str, status: os.stat_result, roots: Tuple[str, ...]) -> bool:
    user = process.sole_uid(pid)
    if user is not None and user in (0, status.st_uid):
        return True
    return any(real.startswith(os.path.join(os.path.realpath(root), "")) for root in roots)


def _is_public(real: str, status: os.stat_result) -> bool:
    """Whether everybody may read a file: without regard to groups and ACLs, which would not make it everybody."""
    if not status.st_mode & stat.S_IROTH:
        return False
    try:
        while real != "/":
            real = os.path.dirname(real)
            if not os.stat(real).st_mode & stat.S_IXOTH:
                return False
    except OSError:
        return False
    return True


def _read(entry: Entry, path: str, ways: Sequence[_Way]) -> Config:
    here = next((way for way in ways if way.path == path and not way.unread), None)
    text = here.text if here is not None else config_file.read(path)
    files: Dict[str, readconfig.File] = {path: _parsed(path, text or "")}
    for way in ways:
        if not _same(entry.pid, way.path, path):
            files[way.path] = _parsed(way.path, way.text)
    objects: List[Mapping[str, str]] = [*entry.words.objects]
    chardevs: List[Mapping[str, str]] = [*entry.words.chardevs]
    for file in files.values():
        objects += [section.as_properties() for section in file.of("object")]
        chardevs += [section.as_properties() for section in file.of("chardev")]
    rngs = [*readconfig.find_rngs(files[path], objects, chardevs)]
    for other, file in files.items():
        if other != path:
            rngs += [_elsewhere(found) for found in readconfig.find_rngs(file, objects, chardevs)]
    known, sockets = ({item["id"]: item for item in items if "id" in item} for items in (objects, chardevs))
    rngs += [readconfig.describe(device, known, sockets) for device in entry.words.rngs]
    included = any(_same(entry.pid, way.path, path) for way in ways)
    taken = {*entry.words.buses, *(bus for file in files.values() for bus in file.buses)}
    own = {section.options.get("bus") for section in files[path].of("device") if section.id.startswith("ua-fleet-rng")}
    ports = [*(entry.words.ports if included else ()), *files[path].ports]
    notes = []
    if text is None:
        notes.append(f"{printable(path)} does not exist yet")
    if entry.pid and not included:
        notes.append(f"its start command does not read {printable(path)}: give it -readconfig {printable(path)}")
    return Config(
        path=path,
        rngs=tuple(rngs),
        ports=tuple(port for port in sorted(set(ports)) if port not in taken or port in own),
        machine=next((file.value("machine", "type") for file in files.values() if file.value("machine", "type")), ""),
        notes=tuple(notes),
    )


def _parsed(path: str, text: str) -> readconfig.File:
    try:
        return readconfig.parse(text)
    except GuestError as error:
        raise GuestError(f"{printable(path)}: {error}") from error


def _elsewhere(found: FoundDevice) -> FoundDevice:
    return FoundDevice(found.device, found.alias, found.unknown)


def _same(pid: int, way: str, path: str) -> bool:
    """Whether a path of a process leads to this file of ours, by its name, or as the process sees it."""
    if not way or not path:
        return False
    try:
        return os.path.realpath(way) == os.path.realpath(path) or os.path.samefile(
            f"{process.PROC}/{pid}/root{way}", path
        )
    except (OSError, ValueError):
        return False
