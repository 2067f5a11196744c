# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt as a hypervisor: its transport and its codec joined behind the interface that every runner uses.

A backend has ``CAPABILITIES``, ``hypervisor``, ``sources``, ``processes`` and ``check``, and opens a ``Session`` with
``observe``, ``add`` and ``remove`` for each worker that changes guests, and with ``guest_view`` and ``host_view`` for
each worker that looks into them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..codec import libvirt as codec
from ..converge import Capabilities
from ..device import RngDevice, Source
from ..errors import GuestDownError, GuestError, LeftRunningError, UnsafeSourceError
from ..observation import CONFIG, LIVE, FoundDevice, ObservedGuest
from ..text import printable
from ..transport.libvirt import Connection, DomainEntry
from ..transport.process import qemu_processes
from ..transport.source import QemuUser, check_source
from . import libvirt_host_view, libvirt_views
from .guest_view import GuestOptions

CAPABILITIES = Capabilities(max_bytes=codec.MAX_BYTES, restart=True)

DEFAULT_URI = "qemu:///system"

_POLL = 0.05  # seconds between two looks at whether the guest has let go of a device
_SHUTDOWN_POLL = 0.25  # seconds between two looks at whether it is off
Names = Tuple[str, ...]


class Session:
    """One connection and what can be done over it. Not shared between threads."""

    def __init__(self, uri: str, readonly: bool = False) -> None:
        self.connection = Connection(uri, readonly)
        self._entries: Dict[str, DomainEntry] = {}
        self._identities: Dict[str, Tuple[str, str, str, str]] = {}
        self._known: Dict[Tuple[str, str, str, str], Tuple[Names, Names]] = {}

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

    def guest_view(self, guest: ObservedGuest, options: GuestOptions) -> Dict[str, Any]:
        """What the running guest says through its agent; only for a session that may write."""
        return libvirt_views.guest_view(self.connection, self._entry(guest), guest, options)

    def host_view(self, guest: ObservedGuest, processes: Mapping[str, int], monitor: bool) -> Dict[str, Any]:
        """What the host and, if wanted, the guest's QEMU itself say of the guest's RNGs."""
        return libvirt_host_view.host_view(self.connection, self._entry(guest), guest, processes, monitor)

    def known_to_qemu(self, guest: ObservedGuest) -> Tuple[Names, Names]:
        """(models, backends) that the guest's own QEMU has; libvirt tells only a connection that may write."""
        identity = self._identities[guest.uuid]
        if identity not in self._known:
            document = self.connection.domain_capabilities(*identity)
            self._known[identity] = codec.parse_rng_capabilities(document)
        return self._known[identity]

    def add(self, guest: ObservedGuest, layer: str, device: RngDevice, alias: str) -> None:
        self.connection.attach(self._entry(guest), layer, codec.render_rng(device, alias))

    def remove(self, guest: ObservedGuest, layer: str, found: FoundDevice) -> None:
        """Ask for the removal; a running guest lets go when it gets to it. See :meth:`wait_removed`."""
        entry = self._entry(guest)
        # A config keeps only aliases of users ("ua-"); everything else goes by its full element, address included.
        if found.alias and (layer == LIVE or found.alias.startswith("ua-")):
            self.connection.detach_alias(entry, layer, found.alias)
        else:
            self.connection.detach_xml(entry, layer, found.handle)

    def wait_removed(self, guest: ObservedGuest, aliases: Tuple[str, ...], seconds: float) -> None:
        """Return when the running guest has released these devices, or when the time is up.

        By looking, not by DEVICE_REMOVED: a look costs a fifth of a millisecond, misses nothing that happened before
        it began, and needs no event loop beside the workers.
        """
        entry, until = self._entry(guest), time.monotonic() + seconds
        while time.monotonic() < until:
            now = codec.parse_domain(self.connection.xml(entry, LIVE))
            if not now.running or not any(found.alias in aliases for found in now.rngs):
                return
            time.sleep(_POLL)

    def busy(self) -> str:
        """Why no guest of this host may be restarted now; empty when any may."""
        jobs = [entry.name for entry in self.connection.domains() if entry.running and self.connection.has_job(entry)]
        return f"{printable(jobs[0], 80)} is being migrated, backed up, saved or dumped" if jobs else ""

    def restart(self, guest: ObservedGuest, seconds: float, force: bool) -> None:
        """Shut the guest down and start it: a reset would not give it what its config has. One that is off is started.

        :param seconds: how long it has to shut down. After that ``force`` pulls its plug.
        :raises LeftRunningError: when nothing was tried.
        :raises GuestDownError: when it does not start again.
        """
        entry = self._entry(guest)
        if not self.connection.is_persistent(entry):
            raise LeftRunningError("it is transient, and nothing could start it again")
        if self.connection.is_active(entry):
            if self.connection.is_paused(entry):
                raise LeftRunningError("it is paused")
            self.connection.shut_down(entry)
            if not self._is_off(entry, seconds):
                if not force:
                    raise GuestError(
                        f"it was asked to shut down and runs on after {seconds:g} seconds; should it still do so "
                        "later, it has to be started by hand"
                    )
                self.connection.destroy(entry)
        try:
            self.connection.start(entry)
        except GuestError as error:
            if not self.connection.is_active(entry):  # nobody else has started it
                raise GuestDownError(f"it was shut down and does not start again: {error}") from error

    def _is_off(self, entry: DomainEntry, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.connection.is_active(entry):
            if time.monotonic() >= until:
                return False
            time.sleep(_SHUTDOWN_POLL)
        return True

    def _entry(self, guest: ObservedGuest) -> DomainEntry:
        """What the worker that changes a guest needs to know of it; usually another session has observed it."""
        if guest.uuid not in self._entries:
            self._entries[guest.uuid] = replace(self.connection.domain(guest.uuid), persistent=guest.persistent)
        return self._entries[guest.uuid]


class Backend:
    """The guests of one libvirt URI."""

    CAPABILITIES = CAPABILITIES

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._checked: Dict[str, Optional[UnsafeSourceError]] = {}

    def session(self, readonly: bool = False) -> Session:
        return Session(self.uri, readonly)

    def hypervisor(self, session: Session) -> Dict[str, Any]:
        """What the audit says of the hypervisor; the two lists stay unknown to a connection that only reads."""
        return {"kind": "libvirt", "version": session.connection.version(), "rng_models": None, "rng_backends": None}

    def processes(self) -> Dict[str, int]:
        """The QEMU processes of this host, by the UUIDs of their guests."""
        return qemu_processes()

    def sources(self, session: Session, names: Sequence[str]) -> Dict[str, Optional[str]]:
        """Of each source why no guest of this host can live on it, or None."""
        parsed = {name: Source.parse(name) for name in names}
        user = codec.parse_qemu_user(session.connection.capabilities()) if parsed else None
        return {name: _why_unsafe(source, user) for name, source in parsed.items()}

    def check(self, session: Session, guest: ObservedGuest, device: RngDevice) -> None:
        """Refuse a device that this host or this guest's QEMU cannot serve safely.

        :raises UnsafeSourceError: with the reason.
        """
        self._check_qemu(session, guest, device)
        source = str(device.source)
        if source not in self._checked:
            try:
                check_source(device.source, codec.parse_qemu_user(session.connection.capabilities()))
                self._checked[source] = None
            except UnsafeSourceError as error:
                self._checked[source] = error
        refused = self._checked[source]
        if refused is not None:
            raise refused

    def _check_qemu(self, session: Session, guest: ObservedGuest, device: RngDevice) -> None:
        try:
            models, backends = session.known_to_qemu(guest)
        except GuestError:
            return  # libvirt cannot probe this guest's QEMU here; it will say why when the device is attached
        if device.source.kind not in backends:
            raise UnsafeSourceError(f"source {device.source}: this guest's QEMU knows only {_words(backends)}")
        if device.model not in models:
            raise UnsafeSourceError(f"model {device.model}: this guest's QEMU knows only {_words(models)}")


def _why_unsafe(source: Source, user: QemuUser) -> Optional[str]:
    try:
        check_source(source, user)
    except UnsafeSourceError as error:
        return str(error)
    return None


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


def _words(names: Names) -> str:
    return ", ".join(names) or "none"
