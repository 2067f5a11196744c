# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests of a libvirt URI as they are. For this a connection that only reads is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Tuple

from ..codec import libvirt as codec
from ..errors import GuestError
from ..observation import CONFIG, LIVE, ObservedGuest
from ..transport.libvirt import Connection, DomainEntry

DEFAULT_URI = "qemu:///system"

Names = Tuple[str, ...]


class Observer:
    """One connection and what can be seen over it. Not shared between threads."""

    def __init__(self, uri: str, readonly: bool = False) -> None:
        self.connection = Connection(uri, readonly)
        self._entries: Dict[str, DomainEntry] = {}
        self._identities: Dict[str, Tuple[str, str, str, str]] = {}

    def observe_all(self, models: Optional[Mapping[str, str]] = None) -> List[ObservedGuest]:
        """Every guest, sorted by name.

        :param models: only the guests with these names or UUIDs, with the model that each is to get.
        """
        guests = []
        for entry in sorted(self.connection.domains(), key=lambda entry: entry.name):
            if models is None or entry.name in models or entry.uuid in models:
                wanted = models or {}
                guests.append(self._observe_listed(entry, wanted.get(entry.name) or wanted.get(entry.uuid) or "virtio"))
        return guests

    def _observe_listed(self, entry: DomainEntry, model: str) -> ObservedGuest:
        try:
            return self._observe(entry, model)
        except GuestError as error:
            return ObservedGuest(
                entry.name, entry.uuid, entry.running, entry.persistent, error=f"cannot be read: {error}"
            )

    def observe(self, guest: ObservedGuest, model: str = "virtio") -> ObservedGuest:
        """The guest as it is now, with the notes it had.

        :raises GuestError: when it has gone.
        """
        entry = self._entry(guest)
        if guest.running:  # it may have been undefined meanwhile; one that was off could not lose its config and start
            entry = replace(entry, persistent=self.connection.is_persistent(entry))
        return replace(self._observe(entry, model), notes=guest.notes)

    def _observe(self, entry: DomainEntry, model: str) -> ObservedGuest:
        self._entries[entry.uuid] = entry
        now = codec.parse_domain(self.connection.xml(entry, LIVE), model)
        live = now if now.running else None
        config: Optional[codec.Domain] = now
        if live is not None:
            config = codec.parse_domain(self.connection.xml(entry, CONFIG), model) if entry.persistent else None
        self._identities[entry.uuid] = now.identity
        notes = _notes(entry)
        if now.rng_on_command_line:
            notes += ("has an RNG in qemu:commandline, which libvirt does not see and nobody can change while it runs",)
        return ObservedGuest(
            name=entry.name,
            uuid=entry.uuid,
            running=now.running,
            persistent=entry.persistent,
            arch=now.arch,
            machine=now.machine,
            config=None if config is None else config.rngs,
            live=None if live is None else live.rngs,
            blocked=_blocked(config, live),
            notes=notes,
        )

    def _entry(self, guest: ObservedGuest) -> DomainEntry:
        """What the worker that changes a guest needs to know of it; usually another session has observed it."""
        if guest.uuid not in self._entries:
            self._entries[guest.uuid] = replace(self.connection.domain(guest.uuid), persistent=guest.persistent)
        return self._entries[guest.uuid]


def _blocked(config: Optional[codec.Domain], live: Optional[codec.Domain]) -> Tuple[Tuple[str, str], ...]:
    blocked = []
    if config is not None and CONFIG in config.blocked:
        blocked.append((CONFIG, config.blocked[CONFIG]))
    if live is not None and LIVE in live.blocked:
        blocked.append((LIVE, live.blocked[LIVE]))
    return tuple(blocked)


def _notes(entry: DomainEntry) -> Names:
    notes = []
    if entry.managed_save:
        notes.append("its managed save image brings the devices of that time back at the next start")
    if entry.snapshots:
        notes.append("reverting to one of its snapshots brings the devices of that time back")
    if not entry.persistent:
        notes.append("transient: a change lasts until it is shut off")
    return tuple(notes)
