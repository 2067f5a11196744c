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
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from ..codec import libvirt as codec
from ..converge import Capabilities
from ..device import RngDevice, Source
from ..errors import GuestDownError, GuestError, LeftRunningError, UnsafeSourceError
from ..observation import LIVE, FoundDevice, ObservedGuest
from ..text import printable
from ..transport.libvirt import DomainEntry
from ..transport.process import qemu_processes
from ..transport.source import QemuUser, check_source
from . import libvirt_host_view, libvirt_views
from .guest_view import GuestOptions
from .libvirt_observer import Names, Observer

CAPABILITIES = Capabilities(max_bytes=codec.MAX_BYTES, restart=True)

_POLL = 0.05  # seconds between two looks at whether the guest has let go of a device
_SHUTDOWN_POLL = 0.25  # seconds between two looks at whether it is off


class Session(Observer):
    """One connection and what can be done over it. Not shared between threads."""

    def __init__(self, uri: str, readonly: bool = False) -> None:
        super().__init__(uri, readonly)
        self._known: Dict[Tuple[str, str, str, str], Tuple[Names, Names]] = {}

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


def _words(names: Names) -> str:
    return ", ".join(names) or "none"
