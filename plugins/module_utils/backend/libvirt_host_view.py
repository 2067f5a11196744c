# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's view of a guest of libvirt: its process is found by its UUID, and libvirt speaks to its monitor."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..errors import GuestError
from ..observation import ObservedGuest
from ..transport import process
from ..transport.libvirt import Connection, DomainEntry
from .host_view import look


def host_view(
    connection: Connection, entry: DomainEntry, guest: ObservedGuest, processes: Mapping[str, int], monitor: bool
) -> Dict[str, Any]:
    """The ``host_view`` of one guest, as on the wire. Whatever goes wrong with it is told in there.

    :param processes: what ``qemu_processes`` found on this host.
    :param monitor: also ask QEMU itself, which makes libvirt mark the guest as tainted.
    """

    def find() -> int:
        pid = processes.get(guest.uuid.lower())
        if pid == process.SEVERAL:
            raise GuestError("more than one QEMU process on this host claims the guest's UUID")
        if pid is None or not process.is_guest(pid, guest.uuid):
            raise process.NoProcessError("no QEMU process with the guest's UUID is to be seen on this host")
        return pid

    ask = (lambda command, seconds: connection.monitor(entry, command, seconds)) if monitor else None
    return look(guest, find, ask)
