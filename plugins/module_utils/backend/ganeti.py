# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of one Ganeti cluster, seen from its master.

An RNG is a parameter of the instance: ``virtio_rng`` where the cluster knows that and it can say all that is wanted,
otherwise words of ours in ``kvm_extra``. An instance's own ``kvm_extra`` replaces the one of its OS and cluster. So
with ours it carries a copy of theirs along, and gives it back when ours goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..codec import ganeti as codec
from ..codec import luxi
from ..converge import OWN_ALIAS, Capabilities, is_own
from ..device import MAX_BYTES, Rate, RngDevice, Source
from ..errors import (
    GuestDownError,
    GuestError,
    InvalidValueError,
    LeftRunningError,
    TimedOutError,
    UnsafeSourceError,
)
from ..observation import CONFIG, LIVE, Devices, FoundDevice, ObservedGuest
from ..text import printable
from ..transport.ganeti import Master, command_line
from ..transport.process import qemu_processes
from ..transport.source import check_source
from . import ganeti_views
from .ganeti_jobs import JOB_SECONDS, Jobs
from .guest_view import GuestOptions

CAPABILITIES = Capabilities(max_bytes=MAX_BYTES, sources=("random", "builtin"), hotplug=False, restart=True)

_ROOT = (0, 0)  # what Ganeti starts QEMU as
_DEFAULT = "default"  # takes away an instance's own value

_NEEDS_HARD_REBOOT = (
    "Ganeti cannot hot-plug an RNG; it takes gnt-instance reboot --type=hard, or a shutdown and a startup, "
    "while a reboot from inside or with --type=soft keeps the old devices"
)
_PARAMETER_ALIAS = OWN_ALIAS + "-parameter"  # of the RNG that an instance's own virtio_rng gives it
_PARAMETER_SOURCES = {"urandom": "/dev/urandom", "random": "/dev/random"}
_OFF = "off"


@dataclass(frozen=True)
class _Record:
    """An instance as it was last seen: what its next change is based on."""

    cluster: luxi.Cluster
    instance: luxi.Instance

    @property
    def is_kvm(self) -> bool:
        return self.instance.hypervisor == luxi.KVM

    @property
    def inherited(self) -> Tuple[str, str]:
        """The ``kvm_extra`` that it would have without one of its own, and who gives it."""
        return self.cluster.inherited(luxi.EXTRA, self.instance.os)

    @property
    def is_copied(self) -> bool:
        """Whether it has words of ours beside what it inherits, or inherited when they were put there."""
        if luxi.EXTRA not in self.instance.own:
            return True
        return codec.is_copied(self.instance.extra, self.cluster.shell)

    def devices(self) -> Devices:
        return self._of_parameter() + codec.parse_extra(self.instance.extra, self.cluster.shell)

    def _of_parameter(self) -> Devices:
        value = self.instance.parameter
        if not self.cluster.has_parameter or value in ("", _OFF):
            return ()
        alias = _PARAMETER_ALIAS if luxi.PARAMETER in self.instance.own else ""
        if value not in _PARAMETER_SOURCES:
            return (FoundDevice(None, alias, f"virtio_rng={printable(value, 60)}", handle=luxi.PARAMETER),)
        return (FoundDevice(_of_source(value), alias, handle=luxi.PARAMETER),)

    def as_parameter(self, device: RngDevice) -> str:
        """The value of ``virtio_rng`` that says all of the device; empty where there is none."""
        values = [value for value in _PARAMETER_SOURCES if self.cluster.has_parameter and _of_source(value) == device]
        return values[0] if values else ""


class Session:
    """What can be done on the master. It holds no connection: every question is one of its own."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._master = backend.master

    def observe_all(self, models: Optional[Mapping[str, str]] = None) -> List[ObservedGuest]:
        """Every instance, sorted by name. With ``models``, only those with these names or UUIDs."""
        cluster = self._backend.cluster()
        processes = self._backend.processes()
        guests = []
        for instance in luxi.parse_instances(self._master.instances(luxi.FIELDS)):
            if models is None or instance.name in models or instance.uuid in models:
                guests.append(self._observed(_Record(cluster, instance), processes))
        return sorted(guests, key=lambda guest: guest.name)

    def observe(self, guest: ObservedGuest, dummy_model: str = "virtio") -> ObservedGuest:
        """The guest as it is now.

        :raises GuestError: when it has gone.
        """
        return self._observed(self._read(guest), self._backend.processes())

    def _read(self, guest: ObservedGuest) -> _Record:
        for instance in luxi.parse_instances(self._master.instances(luxi.FIELDS, guest.uuid)):
            if instance.uuid == guest.uuid:
                return _Record(self._backend.cluster(), instance)
        raise GuestError("the instance is no longer in this cluster")

    def _observed(self, record: _Record, processes: Mapping[str, int]) -> ObservedGuest:
        cluster, instance = record.cluster, record.instance
        self._backend.records[instance.uuid] = record
        running = instance.running is True
        machine = str(instance.all.get("machine_version") or "") or ("pc" if cluster.arch == "x86_64" else "")
        blocked = {LIVE: _NEEDS_HARD_REBOOT} if running else {}
        notes: Tuple[str, ...] = ()
        config: Devices = ()
        error = ""
        if record.is_kvm:
            try:
                config = record.devices()
                notes = _notes(record)
            except GuestError as broken:
                error = str(broken)
        else:
            blocked[CONFIG] = f"its hypervisor is {printable(instance.hypervisor, 40)}, which has no virtio RNG"
        words = command_line(processes[instance.uuid]) if running and processes.get(instance.uuid) else []
        live = codec.parse_words(words) if words and record.is_kvm else None
        if instance.running is None:
            notes += (f"node {printable(instance.node, 100)} does not tell whether it runs",)
        elif running and live is None and record.is_kvm:
            notes += (_unseen(record),)
        return ObservedGuest(
            name=instance.name,
            uuid=instance.uuid,
            running=running,
            arch=cluster.arch,
            machine=printable(machine, 80),
            config=config,
            live=live,
            blocked=tuple(sorted(blocked.items())),
            notes=notes,
            error=error,
        )

    def add(self, guest: ObservedGuest, dummy_layer: str, device: RngDevice, dummy_alias: str) -> None:
        """Put the device in the place of the one of ours, if there is one. Only configurations are changed."""
        record = self._unchanged(guest)
        value = record.as_parameter(device)
        if value:
            self._write(record, {luxi.PARAMETER: value, luxi.EXTRA: self._restored(record)})
            return
        extra = codec.with_rng(record.instance.extra, record.cluster.shell, device, record.is_copied)
        values = {luxi.EXTRA: extra}
        if record.cluster.has_parameter and luxi.PARAMETER in record.instance.own:
            values[luxi.PARAMETER] = (
                _DEFAULT if record.cluster.inherited(luxi.PARAMETER, record.instance.os)[0] in ("", _OFF) else _OFF
            )
        self._write(record, values)

    def remove(self, guest: ObservedGuest, dummy_layer: str, found: FoundDevice) -> None:
        """Take a device away, if it is still there: ours may have given its place to another one."""
        record = self._unchanged(guest)
        present = next((one for one in record.devices() if one == found), None)
        if present is None:
            return
        if present.handle == luxi.PARAMETER:
            self._write(record, {luxi.PARAMETER: _DEFAULT if is_own(present) else _OFF})
        elif is_own(present):
            self._write(record, {luxi.EXTRA: self._restored(record)})
        else:
            extra = codec.without(record.instance.extra, record.cluster.shell, present, record.is_copied)
            self._write(record, {luxi.EXTRA: _literal(extra)})

    def _restored(self, record: _Record) -> str:
        """The ``kvm_extra`` that it had before ours came: its own, or none of its own."""
        rest = codec.without_own(record.instance.extra, record.cluster.shell)
        if not record.is_copied:
            return _literal(rest)
        inherited = codec.parse_extra(record.inherited[0], record.cluster.shell)
        if self._backend.exclusive and inherited != codec.parse_extra(rest, record.cluster.shell):
            return _literal(rest)  # what it inherits has an RNG that it is not to have
        return _DEFAULT

    def _unchanged(self, guest: ObservedGuest) -> _Record:
        """The instance as it is now.

        :raises GuestError: when its RNGs are not those that the change was decided on; everything else may differ.
        """
        record = self._read(guest)
        before = self._backend.records.get(guest.uuid)
        if before is not None and before.devices() != record.devices():
            raise GuestError("somebody else changed its RNGs meanwhile")
        return record

    def _write(self, record: _Record, wanted: Mapping[str, str]) -> None:
        own, name = record.instance.own, record.instance.name
        values = {
            parameter: value
            for parameter, value in wanted.items()
            if (value != own.get(parameter) if value != _DEFAULT else parameter in own)
        }
        if values:
            self._backend.jobs.modify(name, values)
            # The next change is based on what this one made of it.
            instance = luxi.parse_instances(self._master.instances(luxi.FIELDS, record.instance.uuid))[0]
            self._backend.records[instance.uuid] = _Record(record.cluster, instance)

    def wait_removed(self, dummy_guest: ObservedGuest, dummy_aliases: Tuple[str, ...], dummy_seconds: float) -> None:
        """Nothing is ever removed from a running guest."""

    def busy(self) -> str:
        """Why no instance may be restarted now; empty when any may."""
        job = luxi.parse_unfinished(self._master.unfinished())
        return f"Ganeti has not ended {job}" if job else ""

    def restart(self, guest: ObservedGuest, seconds: float, force: bool) -> None:
        """Let Ganeti end and start the instance in one job. One that is off is started.

        :raises LeftRunningError: when nothing was tried.
        :raises GuestDownError: when it does not start again.
        """
        record = self._read(guest)
        if record.instance.running and not force:
            raise LeftRunningError(
                "Ganeti pulls the plug of an instance that does not shut down in time, which only restart_force allows"
            )
        try:
            if record.instance.running:
                self._backend.jobs.reboot(guest.name, int(seconds))
            else:
                self._backend.jobs.start(guest.name)
        except TimedOutError:
            raise
        except GuestError as error:
            if self._read(guest).instance.running is not True:
                raise GuestDownError(f"it was shut down and does not start again ({error})") from error
            raise

    def guest_view(self, guest: ObservedGuest, options: GuestOptions) -> Dict[str, Any]:
        return ganeti_views.guest_view(guest, self._backend.processes(), options)

    def host_view(self, guest: ObservedGuest, processes: Mapping[str, int], monitor: bool) -> Dict[str, Any]:
        return ganeti_views.host_view(guest, processes, monitor)


class Backend:
    """The cluster whose master the module runs on."""

    CAPABILITIES = CAPABILITIES

    def __init__(
        self, master: Optional[Master] = None, exclusive: bool = True, job_seconds: float = JOB_SECONDS
    ) -> None:
        self.master = master or Master()
        self.exclusive = exclusive
        self.jobs = Jobs(self.master, job_seconds)
        self.records: Dict[str, _Record] = {}  # by UUID; only one worker at a time has to do with a guest
        self._cluster: Optional[luxi.Cluster] = None

    def session(self, readonly: bool = False) -> Session:  # noqa: ARG002  named by callers; there is no connection
        return Session(self)

    def cluster(self) -> luxi.Cluster:
        if self._cluster is None:
            self._cluster = luxi.parse_cluster(self.master.cluster())
        return self._cluster

    def hypervisor(self, dummy_session: Session) -> Dict[str, Any]:
        return {
            "kind": "ganeti",
            "version": self.cluster().version,
            "rng_models": list(CAPABILITIES.models),
            "rng_backends": list(CAPABILITIES.sources),
        }

    def processes(self) -> Dict[str, int]:
        """The QEMU processes of this node, by the UUIDs of their instances."""
        return qemu_processes()

    def sources(self, dummy_session: Session, names: Sequence[str]) -> Dict[str, Optional[str]]:
        """Of each source why no guest can live on it, on this node, or None."""
        return {name: _why_unsafe(Source.parse(name)) for name in names}

    def check(self, dummy_session: Session, dummy_guest: ObservedGuest, device: RngDevice) -> None:
        """Refuse a device that cannot be said, or a source that is not safe on this node.

        :raises UnsafeSourceError: with the reason.
        """
        _check(device)


def _check(device: RngDevice) -> None:
    try:
        codec.render_rng(device, OWN_ALIAS)
    except InvalidValueError as error:
        raise UnsafeSourceError(str(error)) from error
    check_source(device.source, _ROOT)


def _why_unsafe(source: Source) -> Optional[str]:
    try:
        _check(RngDevice(source))
    except UnsafeSourceError as error:
        return str(error)
    return None


def _literal(extra: str) -> str:
    if extra.lower() == _DEFAULT:
        raise GuestError(f"its kvm_extra would be the word {extra}, which Ganeti takes for something else")
    return extra


def _of_source(value: str) -> RngDevice:
    return RngDevice(Source.parse(_PARAMETER_SOURCES[value]), Rate())


def _notes(record: _Record) -> Tuple[str, ...]:
    """Which level gives the instance its ``kvm_extra``."""
    inherited, giver = record.inherited
    if luxi.EXTRA not in record.instance.own:
        if not inherited:
            return ()
        return (f"its kvm_extra comes from {giver}; one of its own takes a copy of that along and follows it no more",)
    rest = codec.without_own(record.instance.extra, record.cluster.shell)
    if not record.is_copied or rest == record.instance.extra:
        return ("it has a kvm_extra of its own, which replaces that of its OS and cluster",)
    if rest != inherited:
        return (f"its kvm_extra has a copy of what came from {giver}, which is something else by now",)
    return (f"its kvm_extra has a copy of what comes from {giver}",) if inherited else ()


def _unseen(record: _Record) -> str:
    if record.instance.node == record.cluster.master:
        return "no QEMU process with its UUID is to be seen on this node"
    return f"it runs on node {printable(record.instance.node, 100)}: what its QEMU has cannot be seen from the master"
