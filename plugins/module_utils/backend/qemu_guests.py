# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plain QEMU guests are here: by the command lines of processes, and by sockets that the operator names."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field, replace
from glob import iglob
from itertools import islice
from typing import Dict, List, Sequence, Tuple

from ..codec.qemu_words import Words, manager_of, parse_words
from ..errors import GuestError
from ..text import printable
from ..transport import process
from ..transport.qmp import is_socket, peer_of

MAX_SOCKETS = 10000  # that all globs together may name

_NAMESPACE = uuid.UUID("d3e6a1c2-5b0f-5c35-9a7e-4f9b1d6c8e02")


@dataclass(frozen=True)
class Entry:
    """One QEMU, or one that is only known by its configuration file.

    ``pid`` is 0 where the process is not to be seen or does not run, and ``words`` are then empty.
    """

    pid: int = 0
    words: Words = field(default_factory=Words)
    sockets: Tuple[str, ...] = ()
    name: str = ""
    uuid: str = ""

    @property
    def running(self) -> bool:
        return bool(self.pid or self.sockets)


def find(sockets: Sequence[str], processes: bool) -> Tuple[List[Entry], List[str]]:
    """The QEMU processes that somebody started by hand or by a script of his own, and what was left out, and why.

    :param sockets: patterns of paths of QMP sockets.
    :param processes: whether to look for processes too.
    """
    found: Dict[int, Entry] = {}
    notes: List[str] = []
    managed = set()
    for pid, line in sorted(process.qemu_command_lines().items()):
        words = parse_words(line)
        if words.manager:
            managed.add(pid)
            notes.append(f"{_shown(words, pid)} is a guest of {words.manager}, which has to change it")
        else:
            monitors = (absolute(pid, path) for path in words.monitors)
            entry = Entry(pid, words, tuple(path for path in monitors if path and is_socket(path)))
            found[pid] = _named(entry, words.name, words.uuid)
    if not processes:
        seen, found = found, {}
    else:
        seen = found
    strangers: List[Entry] = []
    for path in _matching(sockets):
        manager = manager_of(os.path.realpath(path))
        if manager:
            notes.append(f"{printable(path)} is a socket of {manager}, which has to change its guests")
            continue
        if any(_same(path, known) for entry in found.values() for known in entry.sockets):
            continue
        try:
            pid = peer_of(path)[0]
        except GuestError as error:
            notes.append(str(error))
            continue
        if pid in managed:
            continue
        if pid in seen:
            entry = found.get(pid, replace(seen[pid], sockets=()))
            found[pid] = replace(entry, sockets=(path, *entry.sockets))
        else:
            strangers.append(Entry(sockets=(path,)))
    return [*found.values(), *strangers], notes


def identified(entry: Entry, name: str, told: str) -> Entry:
    """The entry with what its QEMU says of itself."""
    return _named(entry, name or entry.words.name, told or entry.words.uuid)


def derived_uuid(name: str) -> str:
    """The UUID of a guest that has none: always the same for its name."""
    return str(uuid.uuid5(_NAMESPACE, name))


def absolute(pid: int, path: str) -> str:
    """A path as the process means it; nothing where that cannot be seen."""
    if path.startswith("/"):
        return path
    try:
        return os.path.join(os.readlink(f"{process.PROC}/{pid}/cwd"), path)
    except OSError:
        return ""


def _named(entry: Entry, name: str, told: str) -> Entry:
    """Without a name, a guest is called by its UUID, else by its socket."""
    shown = name or told or next(iter(entry.sockets), "") or f"process {entry.pid}"
    return replace(entry, name=shown, uuid=told or derived_uuid(shown))


def _matching(patterns: Sequence[str]) -> List[str]:
    paths = (path for pattern in patterns for path in islice(iglob(pattern), MAX_SOCKETS))
    return sorted({path for path in islice(paths, MAX_SOCKETS) if is_socket(path)})


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _shown(words: Words, pid: int) -> str:
    return f"{printable(words.name, 80)} (process {pid})" if words.name else f"process {pid}"
