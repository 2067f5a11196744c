# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ``_info`` module saw of a guest: the values, and their spelling on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from .device import RngDevice
from .errors import RngError

CONFIG = "config"
LIVE = "live"

# Keys of ``ObservedGuest.blocked`` beside the layers.
LOCK = "lock"  # nothing of the guest can be changed now
TEMPLATE = "template"  # it is none that could ever run, and is left alone


@dataclass(frozen=True)
class FoundDevice:
    """A virtio RNG that a guest has.

    ``device`` is None when it cannot be expressed as one of ours; ``unknown`` then says why. ``handle`` is whatever
    the backend needs to remove precisely this device; it stays on the host.
    """

    device: Optional[RngDevice]
    alias: str = ""
    unknown: str = ""
    handle: str = field(default="", compare=False)

    def to_wire(self) -> Dict[str, Any]:
        wire: Dict[str, Any] = (
            {"source": None, "unknown": self.unknown} if self.device is None else self.device.to_wire()
        )
        wire["alias"] = self.alias or None
        return wire

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> FoundDevice:
        alias = str(data.get("alias") or "")
        if data.get("source") is None:
            return cls(None, alias, str(data.get("unknown") or "not described"))
        try:
            return cls(RngDevice.from_wire(data), alias)
        except RngError as error:
            return cls(None, alias, str(error))

    def __str__(self) -> str:
        return f"an RNG that is not ours to describe ({self.unknown})" if self.device is None else str(self.device)


Devices = Tuple[FoundDevice, ...]


@dataclass(frozen=True)
class ObservedGuest:
    """One guest as it is.

    ``config`` is None for a transient guest, ``live`` is None for one that does not run. ``blocked`` says, by
    layer, why a device could not be added there, and by ``lock`` or ``template`` why nothing could be done at all;
    ``error`` why the guest could not be read. ``number`` is what the hypervisor itself calls it, where names may be
    given twice (the VMID of Proxmox VE); such a name has it behind itself: ``web1 (101)``. ``guest_view`` and
    ``host_view`` are what the guest itself, and its QEMU process, had to say, as on the wire; None when not asked.
    """

    name: str
    uuid: str = ""
    running: bool = False
    persistent: bool = True
    arch: str = ""
    machine: str = ""
    config: Optional[Devices] = None
    live: Optional[Devices] = None
    blocked: Tuple[Tuple[str, str], ...] = ()
    notes: Tuple[str, ...] = ()
    error: str = ""
    number: str = ""
    guest_view: Optional[Mapping[str, Any]] = field(default=None, compare=False)
    host_view: Optional[Mapping[str, Any]] = field(default=None, compare=False)

    @property
    def given_name(self) -> str:
        """The name that somebody gave it, whether others have the same or not."""
        behind = f" ({self.number})" if self.number else ""
        return self.name[: -len(behind)] if behind and self.name.endswith(behind) else self.name

    def blocked_on(self, layer: str) -> str:
        return dict(self.blocked).get(layer, "")

    def to_wire(self) -> Dict[str, Any]:
        number = {"number": self.number} if self.number else {}  # only of hypervisors that have numbers
        return {
            **number,
            "name": self.name,
            "uuid": self.uuid,
            "running": self.running,
            "persistent": self.persistent,
            "arch": self.arch,
            "machine": self.machine,
            "config": _devices_to_wire(self.config),
            "live": _devices_to_wire(self.live),
            "blocked": dict(self.blocked),
            "guest_view": self.guest_view,
            "host_view": self.host_view,
            "notes": list(self.notes),
            "error": self.error or None,
        }

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> ObservedGuest:
        return cls(
            name=str(data["name"]),
            uuid=str(data.get("uuid") or ""),
            running=bool(data.get("running")),
            persistent=bool(data.get("persistent", True)),
            arch=str(data.get("arch") or ""),
            machine=str(data.get("machine") or ""),
            config=_devices_from_wire(data.get("config")),
            live=_devices_from_wire(data.get("live")),
            blocked=tuple(sorted((data.get("blocked") or {}).items())),
            notes=tuple(data.get("notes") or ()),
            error=str(data.get("error") or ""),
            number=str(data.get("number") or ""),
            guest_view=data.get("guest_view"),
            host_view=data.get("host_view"),
        )


def _devices_to_wire(devices: Optional[Devices]) -> Optional[Sequence[Dict[str, Any]]]:
    return None if devices is None else [found.to_wire() for found in devices]


def _devices_from_wire(data: Optional[Sequence[Mapping[str, Any]]]) -> Optional[Devices]:
    return None if data is None else tuple(FoundDevice.from_wire(item) for item in data)
