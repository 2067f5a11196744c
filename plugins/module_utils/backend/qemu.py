# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain QEMU as a hypervisor: processes that a unit or a script started, spoken to over their own monitors.

QEMU serves one client per monitor, so a connection is opened for each operation and closed after it: nobody is kept
from the guest's monitor longer than that.
"""

from __future__ import annotations

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
from ..observation import LIVE, FoundDevice, ObservedGuest
from ..text import printable
from ..transport import process
from ..transport.qmp import Monitor, connect_in_turn
from ..transport.source import check_source
from .qemu_guests import Entry, find, identified
from .qemu_options import Options

CAPABILITIES = Capabilities(max_bytes=MAX_BYTES)

OPERATION_SECONDS = 30.0  # that all commands of one operation on one guest may take
_WORKERS = 8
_POLL = 0.25  # seconds between two looks, where no event comes
_NO_CONFIG = "nothing to write: its start command has no -readconfig file; changed while it runs only"


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
        guests = [guest for guest in guests if models is None or guest.name in models or guest.uuid in models]
        return sorted(_without_twins(guests), key=lambda guest: guest.name)

    def _observe_listed(self, entry: Entry) -> ObservedGuest:
        try:
            return self._observe(entry)
        except GuestError as error:
            named = entry if entry.name else identified(entry, "", "")
            return ObservedGuest(
                named.name, named.uuid, running=True, persistent=False, error=f"cannot be read: {error}"
            )

    def observe(self, guest: ObservedGuest, dummy_model: str = "virtio") -> ObservedGuest:
        """The guest as it is now.

        :raises GuestError: when it has gone.
        """
        return self._observe(self._backend.entry(guest.uuid))

    def _observe(self, entry: Entry) -> ObservedGuest:
        state, version = self._state(entry)
        entry = identified(entry, state.name, state.uuid)
        self._backend.note(entry, state, version)
        notes: Tuple[str, ...] = (_NO_CONFIG,)
        if state.leftovers:
            notes += (f"has {', '.join(state.leftovers)} without a device; the next change removes that",)
        return ObservedGuest(
            name=entry.name,
            uuid=entry.uuid,
            running=True,
            persistent=False,
            arch=state.arch,
            machine=state.machine,
            config=None,
            live=tuple(rng.found for rng in state.rngs),
            blocked=((LIVE, state.blocked),) if state.blocked else (),
            notes=notes,
        )

    def _state(self, entry: Entry) -> Tuple[qmp.State, qmp.Version]:
        with connect_in_turn(entry.sockets) as monitor:
            return converse(monitor, qmp.ask_for_state()), monitor.version

    def _to_write(self, guest: ObservedGuest) -> Monitor:
        if self._readonly:
            raise GuestError("this session only reads")
        return connect_in_turn(self._backend.entry(guest.uuid).sockets)

    def add(self, guest: ObservedGuest, dummy_layer: str, device: RngDevice, alias: str) -> None:
        with self._to_write(guest) as monitor:
            state = converse(monitor, qmp.ask_for_state())
            if state.blocked:
                raise GuestError(state.blocked)
            converse(monitor, qmp.clear_leftovers(state.leftovers))
            converse(monitor, qmp.plug(device, alias, state.driver, state.ports[0], monitor.version))

    def remove(self, guest: ObservedGuest, dummy_layer: str, found: FoundDevice) -> None:
        """Ask for the removal; the guest lets go when it gets to it. See :meth:`wait_removed`."""
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
        self._states: Dict[str, qmp.State] = {}
        self._versions: List[qmp.Version] = []
        self._checked: Dict[Tuple[str, Tuple[int, int]], Optional[UnsafeSourceError]] = {}

    def session(self, readonly: bool = False) -> Session:
        return Session(self, readonly)

    def find(self) -> List[Entry]:
        entries, self.notes = find(self.options.sockets, self.options.processes)
        return entries

    def note(self, entry: Entry, state: qmp.State, version: qmp.Version) -> None:
        with self._lock:
            self._entries[entry.uuid] = entry
            self._states[entry.uuid] = state
            self._versions.append(version)

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
        if state is not None and state.driver != "virtio-rng-pci" and device.model != "virtio":
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
