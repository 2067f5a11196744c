# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of instances that run on the master: their QEMUs are found like plain ones, by their command lines."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..codec.qemu_words import parse_words
from ..observation import ObservedGuest
from ..transport.ganeti import command_line
from . import qemu_views
from .guest_view import ERROR, GuestOptions, not_seen
from .host_view import NO_PROCESS
from .qemu_guests import Entry

_ELSEWHERE = "its QEMU is not to be seen on the master; it may run on another node"


def guest_view(guest: ObservedGuest, processes: Mapping[str, int], options: GuestOptions) -> Dict[str, Any]:
    """What the instance itself says, where its parameter use_guest_agent gave it a socket for that."""
    entry = _entry(guest, processes)
    if guest.running and not entry.pid:
        return not_seen(ERROR, _ELSEWHERE)
    return qemu_views.guest_view(entry, guest, options)


def host_view(guest: ObservedGuest, processes: Mapping[str, int], monitor: bool) -> Dict[str, Any]:
    """What /proc and, if wanted, QEMU itself say of its RNGs."""
    entry = _entry(guest, processes)
    seen = qemu_views.host_view(entry, guest, monitor and bool(entry.pid))
    if guest.running and guest.live is None and not guest.error:
        return {**seen, "status": NO_PROCESS, "why": _ELSEWHERE}
    return seen


def _entry(guest: ObservedGuest, processes: Mapping[str, int]) -> Entry:
    pid = processes.get(guest.uuid, 0) if guest.running else 0
    line = command_line(pid) if pid else []
    words = parse_words(line)
    return Entry(pid=pid if line else 0, words=words, sockets=words.monitors, name=guest.name, uuid=guest.uuid)
