# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Proxmox VE node as a hypervisor: its API, by command or over HTTPS, and its codec joined.

No call of the API returns the configurations of several guests. So one call lists the guests of the node, and their
configurations are read where the node publishes them, which costs a file each instead of a program start each; a guest
whose file cannot be read is asked for by itself. Everything is changed through the API.

Over HTTPS there are no files, so each guest is a call, and several are under way at once. Of the node's machine nothing
is known then, and what this one has is not taken for it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

from ..codec import proxmox as codec
from ..converge import Capabilities
from ..device import MAX_BYTES, RngDevice, Source
from ..errors import (
    GuestError,
    HypervisorError,
    InvalidValueError,
    TimedOutError,
    UnsafeSourceError,
)
from ..observation import LOCK, TEMPLATE, FoundDevice, ObservedGuest
from ..text import printable
from ..transport.proxmox import CONFIG_DIR, GoneError, ModifiedError, Pvesh, read_config
from ..transport.proxmox_api import NO_RIGHTS, Access, Api
from ..transport.source import check_source
from . import proxmox_restart, proxmox_views
from .guest_view import GuestOptions
from .side_by_side import side_by_side

CAPABILITIES = Capabilities(
    max_bytes=MAX_BYTES,
    sources=("random",),
    models=("virtio",),
    driver_options=(),
    hotplug=False,
    paths=codec.PATHS,
    slots=1,
    restart=True,
)

_NAMESPACE = uuid.UUID("5b8f0a53-6b60-4f0e-9a2c-0d3f6f0a4f5e")
_WRITES = 3  # as often somebody else may change other things of the same guest
AGENT_OUTPUT = 20 * 1024 * 1024  # a file of 16 MiB, which is what the API reads at most
_RESTING = ("suspended",)  # the lock of a guest whose memory is on disk: it runs no longer
_ROOT = (0, 0)  # what Proxmox VE runs its QEMU processes as
_READERS = 8  # calls over HTTPS at once
_HWRNG = "/dev/hwrng"  # the one source that not every node has


@dataclass(frozen=True)
class _Record:
    """A guest as it was last seen: what its next change is based on."""

    listed: codec.Listed
    config: codec.GuestConfig


class Session:
    """What can be done on the node. It keeps no connection: every call is one of its own."""

    def __init__(self, backend: Backend, api: Union[Pvesh, Api]) -> None:
        self.backend, self.api = backend, api
        self.guests = f"/nodes/{api.node}/qemu"

    def observe_all(self, models: Optional[Mapping[str, str]] = None) -> List[ObservedGuest]:
        """Every guest, by name and number. With ``models``, only those with these names, UUIDs or numbers.

        A name that several guests of the node have gets the number behind it.
        """
        found = self._list()
        if not found and self.api.elsewhere:
            self._check_rights()
        read = side_by_side(self._read_or_error, found, _READERS if self.api.elsewhere else 1)
        seen = [(listed, *answer) for listed, answer in zip(found, read)]
        self.backend.proven = {
            str(device.device.source)
            for listed, config, dummy in seen
            if config is not None and listed.running
            for device in config.devices(current=True)
            if device.device is not None
        }
        uuids = self._uuids([(listed, config) for listed, config, dummy in seen])
        times = Counter(listed.name for listed, dummy_config, dummy_error in seen)
        guests = []
        for listed, config, error in seen:
            number = str(listed.vmid)
            name = f"{listed.name} ({number})" if times[listed.name] > 1 else listed.name
            if models is None or any(key in models for key in (name, listed.name, number, uuids[listed.vmid])):
                guests.append(self._observed(name, listed, config, uuids[listed.vmid], error))
        return sorted(guests, key=lambda guest: (guest.name, int(guest.number)))

    def _list(self) -> List[codec.Listed]:
        try:
            return codec.parse_list(self.api.get(self.guests))
        except (GuestError, InvalidValueError) as error:
            raise HypervisorError(f"the guests of this node cannot be listed: {error}") from error

    def _check_rights(self) -> None:
        """The list has only guests that the token may see, and says nothing of others."""
        try:
            rights = self.api.get("/access/permissions")
        except GuestError as error:
            raise HypervisorError(str(error)) from error
        if not isinstance(rights, dict):
            raise HypervisorError("GET /access/permissions: its answer is not what the API promises")
        # The number that a right has is not whether it is held, but whether it is passed on to what is below the path.
        if not any(isinstance(held, dict) and "VM.Audit" in held for held in rights.values()):
            raise HypervisorError(NO_RIGHTS)

    def _read_or_error(self, listed: codec.Listed) -> Tuple[Optional[codec.GuestConfig], str]:
        try:
            return self._read(listed.vmid), ""
        except GuestError as error:
            return None, f"cannot be read: {error}"

    def _read(self, vmid: int) -> codec.GuestConfig:
        raw = None if self.api.elsewhere else read_config(self.backend.config_dir, vmid, codec.MAX_CONFIG)
        if raw is not None:
            return codec.parse_config(raw)
        try:
            return codec.parse_pending(self.api.get(f"{self.guests}/{vmid}/pending"))
        except InvalidValueError as error:
            raise GuestError(str(error)) from error

    def _uuids(self, seen: Sequence[Tuple[codec.Listed, Optional[codec.GuestConfig]]]) -> Dict[int, str]:
        """That of the SMBIOS, unless a copied guest has it too; else one that the cluster and the number make."""
        own = {listed.vmid: config.uuid if config else "" for listed, config in seen}
        times = Counter(own.values())
        site = "" if all(number and times[number] == 1 for number in own.values()) else self.backend.site(self)
        return {
            vmid: number if number and times[number] == 1 else str(uuid.uuid5(_NAMESPACE, f"{site}/{vmid}"))
            for vmid, number in own.items()
        }

    def _observed(
        self, name: str, listed: codec.Listed, config: Optional[codec.GuestConfig], identity: str, error: str = ""
    ) -> ObservedGuest:
        if config is None:
            return ObservedGuest(
                name, identity, listed.running, number=str(listed.vmid), error=error or "cannot be read"
            )
        self.backend.records[identity] = _Record(listed, config)
        notes = list(config.oddities())
        if config.uuid and config.uuid != identity:
            notes.append(f"shares the UUID of its SMBIOS, {config.uuid}, with another guest here")
        return ObservedGuest(
            name=name,
            uuid=identity,
            running=listed.running,
            persistent=True,
            arch=config.arch,
            machine=config.machine,
            config=config.devices(),
            live=config.devices(current=True) if listed.running else None,
            blocked=_blocked(config),
            notes=tuple(notes),
            number=str(listed.vmid),
        )

    def observe(self, guest: ObservedGuest, dummy_model: str = "virtio") -> ObservedGuest:
        """The guest as it is now.

        :raises GuestError: when it has gone.
        """
        vmid = self._record(guest).listed.vmid
        config = self._read(vmid)
        return self._observed(guest.name, self._status(vmid)[0], config, guest.uuid)

    def _status(self, vmid: int) -> Tuple[codec.Listed, Mapping[str, Any]]:
        try:
            status = self.api.get(f"{self.guests}/{vmid}/status/current")
        except TimedOutError as error:  # so that it is asked again: a guest that was shut down must not stay so
            raise HypervisorError(str(error)) from error
        if not isinstance(status, dict):
            raise GuestError("its status is not what the API promises")
        try:
            (listed,) = codec.parse_list([{**status, "vmid": vmid}])
        except InvalidValueError as error:
            raise GuestError(str(error)) from error
        return listed, status

    def busy(self) -> str:
        """Why no guest of this node may be restarted now; empty when any may. One that hibernates does not count."""
        for listed in self._list():
            if listed.lock and listed.lock not in _RESTING:
                return f"{printable(listed.name, 80)} ({listed.vmid}) is locked ({printable(listed.lock, 40)})"
        return ""

    def restart(self, guest: ObservedGuest, seconds: float, force: bool) -> None:
        """Shut the guest down and start it, which applies what is pending. One that is off is started.

        :param seconds: how long it has to shut down. After that ``force`` pulls its plug.
        :raises LeftRunningError: when nothing was tried.
        :raises GuestDownError: when it does not start again.
        """
        vmid = self._record(guest).listed.vmid
        proxmox_restart.restart(self.api, f"{self.guests}/{vmid}/status", lambda: self._status(vmid), seconds, force)

    def add(self, guest: ObservedGuest, dummy_layer: str, device: RngDevice, dummy_alias: str) -> None:
        """Put the device into the only slot that there is, whatever it holds now. Only configurations are changed."""
        self._write(guest, lambda config: {codec.SLOT: _spelled(device, config)})

    def remove(self, guest: ObservedGuest, dummy_layer: str, found: FoundDevice) -> None:
        """Empty the slot, unless it holds another device by now: then that is the one that took its place."""
        record = self._record(guest)
        if found in record.config.devices():
            self._write(guest, lambda dummy: {"delete": codec.SLOT})

    def _write(self, guest: ObservedGuest, parameters: Any) -> None:
        """Change the guest as it was seen. What others change of it meanwhile is seen by the digest, and not lost.

        :raises GuestError: when its RNG or its lock is among that; then somebody has to decide again.
        """
        record = self._record(guest)
        path = f"{self.guests}/{record.listed.vmid}/config"
        for dummy in range(_WRITES):
            try:
                self.api.set(path, **parameters(record.config), digest=record.config.digest)
                # The next change is based on what this one made of it.
                self.backend.records[guest.uuid] = replace(record, config=self._read(record.listed.vmid))
                return
            except ModifiedError:
                now = self._read(record.listed.vmid)
                if _matters(now) != _matters(record.config):
                    raise
                record = replace(record, config=now)
        raise GuestError("somebody else keeps changing its configuration; run again")

    def wait_removed(self, dummy_guest: ObservedGuest, dummy_aliases: Tuple[str, ...], dummy_seconds: float) -> None:
        """Nothing is ever removed from a running guest."""

    def guest_view(self, guest: ObservedGuest, options: GuestOptions) -> Dict[str, Any]:
        """What the running guest says through its agent."""
        path = f"{self.guests}/{self._record(guest).listed.vmid}"
        return proxmox_views.guest_view(path, lambda seconds: self.api.within(seconds, AGENT_OUTPUT), guest, options)

    def host_view(self, guest: ObservedGuest, processes: Mapping[str, int], monitor: bool) -> Dict[str, Any]:
        """What the node sees of the guest's process."""
        vmid = self._record(guest).listed.vmid
        if self.api.elsewhere:
            return proxmox_views.no_host_view(self.api.elsewhere, guest.live or (), monitor)
        return proxmox_views.host_view(vmid, processes.get(guest.uuid, 0), guest.live or (), monitor)

    def _record(self, guest: ObservedGuest) -> _Record:
        record = self.backend.records.get(guest.uuid)
        if record is None:
            raise GoneError("the guest is no longer on this node")
        return record


class Backend:
    """The guests of the node that the module runs on, or of the one that ``access`` says."""

    CAPABILITIES = CAPABILITIES

    def __init__(
        self, api: Optional[Pvesh] = None, config_dir: str = CONFIG_DIR, *, access: Optional[Access] = None
    ) -> None:
        self.api: Union[Pvesh, Api] = api or Pvesh()
        self.access = access
        self.config_dir = config_dir
        self.records: Dict[str, _Record] = {}  # by UUID; only one worker at a time has to do with a guest
        self.proven: Set[str] = set()  # the sources of the guests that run
        self._site: Optional[str] = None

    @property
    def elsewhere(self) -> str:
        """Why nothing of the machine that the module runs on is the node's; empty where it is the node."""
        return self.api.elsewhere

    def session(self, readonly: bool = False) -> Session:  # noqa: ARG002  named by callers; there is no connection
        if self.access is not None and not isinstance(self.api, Api):
            self.api = Api(self.access)
        return Session(self, self.api)

    def hypervisor(self, session: Session) -> Dict[str, Any]:
        try:
            answer = session.api.get("/version")
        except GuestError as error:
            raise HypervisorError(str(error)) from error
        version = str(answer.get("version") or "") if isinstance(answer, dict) else ""
        return {
            "kind": "proxmox",
            "version": printable(version, 40),
            "rng_models": list(CAPABILITIES.models),
            "rng_backends": list(CAPABILITIES.sources),
        }

    def site(self, session: Session) -> str:
        """What the numbers of the guests are unique in: the cluster, or the only node."""
        if self._site is None:
            try:
                cluster, node = codec.parse_site(session.api.get("/cluster/status"))
            except (GuestError, InvalidValueError) as error:
                raise HypervisorError(f"the name of this cluster cannot be read: {error}") from error
            self._site = f"cluster/{cluster}" if cluster else f"node/{node}"
        return self._site

    def processes(self) -> Dict[str, int]:
        if self.api.elsewhere:
            return {}  # the numbers are those of another machine
        return {identity: record.listed.pid for identity, record in self.records.items() if record.listed.pid}

    def sources(self, dummy_session: Session, names: Sequence[str]) -> Dict[str, Optional[str]]:
        """Of each source why no guest of this node can live on it, or None; without those of which nothing is known."""
        sources = {name: Source.parse(name) for name in names}
        return {name: self._why_unsafe(source) for name, source in sources.items() if self._is_known(source)}

    def check(self, dummy_session: Session, dummy_guest: ObservedGuest, device: RngDevice) -> None:
        """Refuse a source that the guest would not start with.

        :raises UnsafeSourceError: with the reason.
        """
        if not self.api.elsewhere:
            check_source(device.source, _ROOT)
        elif not self._is_known(device.source):
            raise UnsafeSourceError(
                f"source {device.source}: the API does not tell whether the node has a hardware RNG, without which the "
                "guest would not start, and no guest that runs there has this source; run on the node itself"
            )

    def _is_known(self, source: Source) -> bool:
        """Whether one can tell if guests can live on it. Over the API none is tried, and every Linux has the others."""
        return not self.api.elsewhere or source.path != _HWRNG or _HWRNG in self.proven

    def _why_unsafe(self, source: Source) -> Optional[str]:
        if source.kind != "random" or source.path not in codec.PATHS:
            return f"source {source}: Proxmox VE offers only {', '.join(codec.PATHS)}"
        try:
            if not self.api.elsewhere:
                check_source(source, _ROOT)
        except UnsafeSourceError as error:
            return str(error)
        return None


def _spelled(device: RngDevice, config: codec.GuestConfig) -> str:
    """Where the running guest has just this device, in the words of its configuration: then nothing is pending."""
    for found in config.devices(current=True):
        if found.device == device:
            return found.handle
    return codec.render_rng(device)


def _matters(config: codec.GuestConfig) -> Tuple[object, ...]:
    """What a change of the RNG is decided on."""
    return config.value(codec.SLOT), config.value(codec.SLOT, current=True), config.lock, config.template


def _blocked(config: codec.GuestConfig) -> Tuple[Tuple[str, str], ...]:
    blocked = []
    if config.lock:
        blocked.append((LOCK, f"it is locked ({printable(config.lock, 40)}); try again when that is over"))
    if config.template:
        blocked.append((TEMPLATE, "left alone: it is a template, which never runs"))
    return tuple(blocked)
