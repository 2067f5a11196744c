# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain QEMU as a hypervisor: processes that a unit or a script started, spoken to over their own monitors.

QEMU serves one client per monitor, so a connection is opened for each operation and closed after it: nobody is kept
from the guest's monitor longer than that.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..codec import qmp
from ..converge import Capabilities
from ..device import MAX_BYTES, RngDevice, Source
from ..errors import GuestError, TimedOutError, UnsafeSourceError
from ..observation import CONFIG, LIVE, FoundDevice, ObservedGuest
from ..text import printable
from ..transport import process
from ..transport.qmp import GoneError, Monitor, connect_in_turn
from ..transport.source import check_source
from . import qemu_config, qemu_views
from .guest_view import GuestOptions
from .qemu_guests import Entry, derived_uuid, find, identified
from .qemu_options import Options

CAPABILITIES = Capabilities(max_bytes=MAX_BYTES, tells_off=False)

OPERATION_SECONDS = 30.0  # that all commands of one operation on one guest may take
_WORKERS = 8
_POLL = 0.25  # seconds between two looks, where no event comes


class Session:
    """What can be done with the guests of this host. It holds no connection."""

    def __init__(self, backend: Backend, readonly: bool = False) -> None:
        self._backend = backend
        self._readonly = readonly
        self._leaving: Dict[Tuple[str, str], qmp.Plugged] = {}

    def observe_all(self, models: Optional[Mapping[str, str]] = None) -> List[ObservedGuest]:
        """Every guest, sorted by name.

        :param models: only the guests with these names or UUIDs.
        """
        entries = self._backend.find()
        wanted = [entry for entry in entries if models is None or not entry.name or _is_in(models, entry)]
        with ThreadPoolExecutor(_WORKERS) as pool:
            guests = list(pool.map(self._observe_listed, wanted))
        seen = {guest.name for guest in guests}
        for name in qemu_config.names(self._backend.options):
            if name not in seen and not any(entry.name == name for entry in entries):
                guests.append(self._observe_listed(Entry(name=name, uuid=derived_uuid(name))))
        guests = [guest for guest in guests if models is None or guest.name in models or guest.uuid in models]
        return sorted(_without_twins(guests), key=lambda guest: guest.name)

    def _observe_listed(self, entry: Entry) -> ObservedGuest:
        try:
            return self._observe(entry)
        except GuestError as error:
            named = entry if entry.name else identified(entry, "", "")
            return ObservedGuest(
                named.name, named.uuid, running=entry.running, persistent=False, error=f"cannot be read: {error}"
            )

    def observe(self, guest: ObservedGuest, dummy_model: str = "virtio") -> ObservedGuest:
        """The guest as it is now.

        :raises GuestError: when it has gone.
        """
        return self._observe(self._backend.entry(guest.uuid))

    def _observe(self, entry: Entry) -> ObservedGuest:
        if not entry.running:
            return self._observe_config(entry)
        try:
            state, version = self._state(entry)
        except GoneError as gone:
            if entry.pid and os.path.exists(f"{process.PROC}/{entry.pid}"):
                raise
            try:
                return self._observe_config(replace(entry, pid=0, sockets=()))
            except GuestError:
                raise gone from None
        entry = identified(entry, state.name, state.uuid)
        config = qemu_config.look(entry, self._backend.options)
        self._backend.note(entry, config, state, version)
        notes = config.notes
        if state.leftovers:
            notes += (f"has {', '.join(state.leftovers)} without a device; the next change removes that",)
        blocked = ((CONFIG, state.blocked),) if not state.driver else ()
        why_not = state.blocked or _fixed(state, config)
        return ObservedGuest(
            name=entry.name,
            uuid=entry.uuid,
            running=True,
            persistent=config.rngs is not None,
            arch=state.arch,
            machine=state.machine,
            config=config.rngs,
            live=tuple(rng.found for rng in state.rngs),
            blocked=blocked + (((LIVE, why_not),) if why_not else ()),
            notes=notes,
        )

    def _observe_config(self, entry: Entry) -> ObservedGuest:
        """A guest that does not run."""
        config = qemu_config.look(entry, self._backend.options)
        if config.rngs is None:
            raise GuestError("; ".join(("it does not run", *config.notes)))
        self._backend.note(entry, config)
        return ObservedGuest(
            name=entry.name, uuid=entry.uuid, machine=config.machine, config=config.rngs, notes=config.notes
        )

    def _state(self, entry: Entry) -> Tuple[qmp.State, qmp.Version]:
        with connect_in_turn(entry.sockets) as monitor:
            return converse(monitor, qmp.ask_for_state()), monitor.version

    def _to_write(self, guest: ObservedGuest) -> Monitor:
        if self._readonly:
            raise GuestError("this session only reads")
        return connect_in_turn(self._backend.entry(guest.uuid).sockets)

    def _config_to_write(self, guest: ObservedGuest) -> qemu_config.Config:
        if self._readonly:
            raise GuestError("this session only reads")
        return self._backend.config(guest.uuid)

    def add(self, guest: ObservedGuest, layer: str, device: RngDevice, alias: str) -> None:
        if layer == CONFIG:
            qemu_config.add(self._config_to_write(guest), device, alias, self._backend.driver(guest))
            return
        with self._to_write(guest) as monitor:
            state = converse(monitor, qmp.ask_for_state())
            if state.blocked:
                raise GuestError(state.blocked)
            converse(monitor, qmp.clear_leftovers(state.leftovers))
            converse(monitor, qmp.plug(device, alias, state.driver, state.ports[0], monitor.version))

    def remove(self, guest: ObservedGuest, layer: str, found: FoundDevice) -> None:
        """Ask for the removal; a running guest lets go when it gets to it. See :meth:`wait_removed`."""
        if layer == CONFIG:
            qemu_config.remove(self._config_to_write(guest), found)
            return
        with self._to_write(guest) as monitor:
            state = converse(monitor, qmp.ask_for_state())
            plugged = next((rng for rng in state.rngs if rng.found.alias == found.alias), None)
            if plugged is None:
                return
            self._leaving[guest.uuid, found.alias] = plugged
            converse(monitor, qmp.unplug(found.alias))

    def wait_removed(self, guest: ObservedGuest, aliases: Tuple[str, ...], seconds: float) -> None:
        """Return when the running guest has released these devices, or when the time is up.

        What is behind them goes after them. By looking, which misses nothing that happened before it began; QEMU's
        DEVICE_DELETED only says when to look.
        """
        until = time.monotonic() + seconds
        with connect_in_turn(self._backend.entry(guest.uuid).sockets) as monitor:
            while True:
                there = converse(monitor, qmp.ask_for_devices())
                for alias in aliases:
                    if alias not in there:
                        self._clear(monitor, guest.uuid, alias)
                left = until - time.monotonic()
                if left <= 0 or not any(alias in there for alias in aliases):
                    return
                monitor.wait_event("DEVICE_DELETED", min(_POLL, left))

    def guest_view(self, guest: ObservedGuest, options: GuestOptions) -> Dict[str, Any]:
        """What the running guest says through its agent."""
        return qemu_views.guest_view(self._backend.entry(guest.uuid), guest, options)

    def host_view(self, guest: ObservedGuest, dummy_processes: Mapping[str, int], monitor: bool) -> Dict[str, Any]:
        """What the host and, if wanted, the guest's QEMU itself say of the guest's RNGs."""
        return qemu_views.host_view(self._backend.entry(guest.uuid), guest, monitor)

    def _clear(self, monitor: Monitor, uuid: str, alias: str) -> None:
        gone = self._leaving.pop((uuid, alias), None)
        if gone is not None:
            converse(monitor, qmp.clear(gone.backend, gone.chardev))
        elif alias.startswith("ua-"):
            converse(monitor, qmp.clear(f"/objects/{alias}{qmp.SOURCE_SUFFIX}", alias + qmp.SOCKET_SUFFIX))


class Backend:
    """The plain QEMU guests of this host."""

    CAPABILITIES = CAPABILITIES

    def __init__(self, options: Options) -> None:
        self.options = options
        self.notes: List[str] = []
        self._lock = threading.Lock()
        self._entries: Dict[str, Entry] = {}
        self._configs: Dict[str, qemu_config.Config] = {}
        self._states: Dict[str, qmp.State] = {}
        self._versions: List[qmp.Version] = []
        self._checked: Dict[Tuple[str, Tuple[int, int]], Optional[UnsafeSourceError]] = {}

    def session(self, readonly: bool = False) -> Session:
        return Session(self, readonly)

    def processes(self) -> Dict[str, int]:
        """Nothing: the guests were found by their processes."""
        return {}

    def find(self) -> List[Entry]:
        entries, self.notes = find(self.options.sockets, self.options.processes)
        return entries

    def note(
        self,
        entry: Entry,
        config: qemu_config.Config,
        state: Optional[qmp.State] = None,
        version: Optional[qmp.Version] = None,
    ) -> None:
        """Remember how to reach a guest: its monitor may be in use when another session wants to know."""
        with self._lock:
            self._entries[entry.uuid] = entry
            self._configs[entry.uuid] = config
            self._states.pop(entry.uuid, None)
            if state is not None:
                self._states[entry.uuid] = state
            if version is not None:
                self._versions.append(version)

    def config(self, uuid: str) -> qemu_config.Config:
        with self._lock:
            return self._configs[uuid]

    def driver(self, guest: ObservedGuest) -> str:
        """The kind of virtio device that the guest's machine takes."""
        state = self._states.get(guest.uuid)
        if state is not None:
            return state.driver
        if guest.machine.startswith("s390-ccw"):
            return "virtio-rng-ccw"
        return "virtio-rng-device" if guest.machine.startswith("microvm") else "virtio-rng-pci"

    def entry(self, uuid: str) -> Entry:
        """How to reach a guest that was observed before, by whichever session."""
        with self._lock:
            if uuid not in self._entries:
                raise GuestError("the guest is no longer there")
            return self._entries[uuid]

    def hypervisor(self, dummy_session: Session) -> Dict[str, Any]:
        """What the audit says of the hypervisor. Models are those of each guest's own QEMU."""
        versions = sorted({".".join(map(str, version)) for version in self._versions})
        return {
            "kind": "qemu",
            "version": ", ".join(versions) or None,
            "rng_models": None,
            "rng_backends": None,
            "skipped": list(self.notes),
        }

    def sources(self, dummy_session: Session, names: Sequence[str]) -> Dict[str, Optional[str]]:
        """Of each source why no guest of this host can live on it, or None."""
        return {name: _why_unsafe(Source.parse(name)) for name in names}

    def check(self, dummy_session: Session, guest: ObservedGuest, device: RngDevice) -> None:
        """Refuse a device that this host or this guest's QEMU cannot serve safely.

        :raises UnsafeSourceError: with the reason.
        """
        if device.source.transport == "udp":
            raise UnsafeSourceError(
                f"source {device.source}: QEMU does not tell where a datagram socket goes, so it could not be found "
                "again; egd+unix and egd+tcp can"
            )
        state = self._states.get(guest.uuid)
        if state is not None and state.backends and device.source.kind not in state.backends:
            raise UnsafeSourceError(f"source {device.source}: this guest's QEMU knows only {', '.join(state.backends)}")
        if state is not None and state.driver == "virtio-rng-pci" and device.model not in (state.models or ("virtio",)):
            raise UnsafeSourceError(f"model {device.model}: this guest's QEMU knows only {', '.join(state.models)}")
        if self.driver(guest) != "virtio-rng-pci" and device.model != "virtio":
            raise UnsafeSourceError(f"model {device.model}: machine {guest.machine} has no PCI, and only model virtio")
        check_source(device.source, process.user_of(self._entries[guest.uuid].pid) if guest.running else None)


def converse(monitor: Monitor, conversation: qmp.Conversation[qmp.T], seconds: float = OPERATION_SECONDS) -> qmp.T:
    """Carry a conversation on over a monitor, and return what came of it.

    :raises TimedOutError: when all of it takes longer than ``seconds``.
    """
    end = time.monotonic() + seconds
    try:
        command = next(conversation)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimedOutError(
                    f"QEMU did not answer everything within {seconds:g} seconds, the outcome is unknown"
                )
            command = conversation.send(monitor.ask(command, min(left, 10.0)))
    except StopIteration as told:
        result: qmp.T = told.value
        return result


def _fixed(state: qmp.State, config: qemu_config.Config) -> str:
    """Why an RNG is rather replaced at the next start: one more beside a device that has to stay serves nobody."""
    fixed = [rng.found.alias for rng in state.rngs if not rng.hotpluggable]
    if not fixed or config.rngs is None:
        return ""
    return f"its RNG {printable(fixed[0], 80)} is where nothing can be unplugged while it runs (pcie.0)"


def _is_in(models: Mapping[str, str], entry: Entry) -> bool:
    return entry.name in models or entry.uuid in models


def _without_twins(guests: List[ObservedGuest]) -> List[ObservedGuest]:
    """Guests that share a UUID or a name cannot be told apart: none of them is changed."""
    uuids, names = Counter(guest.uuid for guest in guests), Counter(guest.name for guest in guests)
    return [
        replace(guest, error=guest.error or f"another guest that runs here has the same {what}")
        if (what := "UUID" if uuids[guest.uuid] > 1 else "name" if names[guest.name] > 1 else "")
        else guest
        for guest in guests
    ]


def _why_unsafe(source: Source) -> Optional[str]:
    try:
        check_source(source)
    except UnsafeSourceError as error:
        return printable(str(error), 400)
    return None
