# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxmox VE's spelling: the property string of ``rng0``, and the configuration of a guest around it.

A property string has no room for a name of ours, and Proxmox VE keeps it as it was typed. So the mark of this
collection is the order of the keys: ``source=S,period=P,max_bytes=N``. Proxmox VE's own printer, its web interface and
its manual all write ``max_bytes`` before ``period``; who edits the device there makes it theirs.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from ..converge import OWN_ALIAS
from ..device import DEFAULT_MAX_BYTES, DEFAULT_PERIOD, MAX_BYTES, MAX_PERIOD, Rate, RngDevice, Source
from ..errors import InvalidValueError
from ..observation import FoundDevice
from ..text import printable

SLOT = "rng0"  # the only one that there is
PATHS = ("/dev/urandom", "/dev/random", "/dev/hwrng")
MAX_CONFIG = 1024 * 1024  # the largest file that Proxmox VE's own file system holds

_KEYS = ("source", "max_bytes", "period")
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_FORM = "[source=]S[,max_bytes=N][,period=MS], with " + ", ".join(PATHS) + " for S, and whole numbers"

_SECTION = re.compile(r"\[([^\]]*)\]\s*")
_SNAPSHOT = re.compile(r"[a-z][a-z0-9_-]+", re.IGNORECASE)
_KEY = re.compile(r"[a-z][a-z_-]*[0-9]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MACHINE_OF_ARCH = {"x86_64": "pc", "aarch64": "virt"}


def parse_rng(text: str) -> FoundDevice:
    """The device that a property string gives the guest; its defaults are Proxmox VE's, and 0 means no limit.

    :raises InvalidValueError: for a string that Proxmox VE itself ignores.
    """
    order, given = _split(text)
    alias = OWN_ALIAS if order == ("source", "period", "max_bytes") else SLOT
    numbers = {name: int(given[name]) for name in ("max_bytes", "period") if name in given}
    size, period = numbers.get("max_bytes", DEFAULT_MAX_BYTES), numbers.get("period", DEFAULT_PERIOD)
    if size == 0:
        return FoundDevice(RngDevice(Source.parse(given["source"])), alias, handle=text)
    if not (1 <= size <= MAX_BYTES and 1 <= period <= MAX_PERIOD):
        return FoundDevice(None, alias, "a rate with which QEMU does not start: " + printable(text, 120), handle=text)
    return FoundDevice(RngDevice(Source.parse(given["source"]), Rate(size, period)), alias, handle=text)


def _split(text: str) -> Tuple[Tuple[str, ...], Dict[str, str]]:
    """The keys in their order, and their values; ``source`` may stand without its key, anywhere."""
    order: List[str] = []
    given: Dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            order.append("")  # source without its key is not how we write it
            name, value = "source", part
        else:
            order.append(name)
        if name not in _KEYS or name in given or not value:
            raise InvalidValueError(SLOT, text, _FORM)
        given[name] = value
    numbers = [given[name] for name in ("max_bytes", "period") if name in given]
    if given.get("source") not in PATHS or not all(_INTEGER.fullmatch(number) for number in numbers):
        raise InvalidValueError(SLOT, text, _FORM)
    return tuple(order), given


def render_rng(device: RngDevice) -> str:
    """The property string of a device, in our order, with every value, so that no default can change under it."""
    size = 0 if device.rate.max_bytes is None else device.rate.max_bytes
    return f"source={device.source},period={device.rate.period},max_bytes={size}"


@dataclass(frozen=True)
class GuestConfig:
    """The configuration of a guest: what is in force, and what is pending until its next start."""

    active: Mapping[str, str]
    pending: Mapping[str, str] = field(default_factory=dict)
    deleted: FrozenSet[str] = frozenset()
    snapshots: bool = False
    digest: str = ""

    def value(self, key: str, current: bool = False) -> Optional[str]:
        """What the running guest has (``current``), or what the next start gives."""
        if current:
            return self.active.get(key)
        return None if key in self.deleted else self.pending.get(key, self.active.get(key))

    @property
    def name(self) -> str:
        return self.active.get("name", "")

    @property
    def lock(self) -> str:
        return self.active.get("lock", "")

    @property
    def template(self) -> bool:
        return self.active.get("template", "0").lower() in ("1", "on", "yes", "true")

    @property
    def arch(self) -> str:
        return self.active.get("arch", "x86_64")

    @property
    def machine(self) -> str:
        """The machine type; the option may have more behind it, as ``q35,viommu=intel``."""
        parts = self.active.get("machine", "").split(",")
        types = [part.partition("=")[2] if part.startswith("type=") else part for part in parts]
        return next((part for part in types if part and "=" not in part), _MACHINE_OF_ARCH.get(self.arch, ""))

    @property
    def uuid(self) -> str:
        """That of its SMBIOS, which is what the guest itself and every inventory see, or nothing."""
        for part in self.active.get("smbios1", "").lower().split(","):
            name, dummy, value = part.partition("=")
            if name == "uuid" and _UUID.fullmatch(value):
                return value
        return ""

    def devices(self, current: bool = False) -> Tuple[FoundDevice, ...]:
        text = self.value(SLOT, current)
        if text is None:
            return ()
        try:
            return (parse_rng(text),)
        except InvalidValueError:  # Proxmox VE drops it when it reads the file, and the guest starts without
            return ()

    def oddities(self) -> Tuple[str, ...]:
        """What one should know of its RNG before it is changed."""
        found = []
        if self.snapshots:
            found.append("rolling back to one of its snapshots brings the devices of that time back")
        if "virtio-rng" in self.active.get("args", ""):
            found.append("has an RNG in args, which Proxmox VE does not see")
        for current in (True, False):
            text = self.value(SLOT, current)
            if text is not None and not self.devices(current):
                found.append(f"Proxmox VE ignores its {SLOT}, which is not valid: {printable(text, 120)}")
                break
        return tuple(found)


def parse_config(raw: bytes) -> GuestConfig:
    """The file of a guest. Of its sections only the first, without a name, and [PENDING] are read."""
    active: Dict[str, str] = {}
    pending: Dict[str, str] = {}
    deleted: FrozenSet[str] = frozenset()
    snapshots = False
    section: Optional[Dict[str, str]] = active
    for line in raw.decode("utf-8", "replace").split("\n"):
        head = _SECTION.fullmatch(line)
        if head is not None:
            section = None
            if head.group(1).upper() == "PENDING":
                pending, deleted = {}, frozenset()
                section = pending
            snapshots = snapshots or (section is None and _SNAPSHOT.fullmatch(head.group(1)) is not None)
            continue
        key, colon, value = line.partition(":")
        value = value.strip()
        if section is None or not colon or not value or not _KEY.fullmatch(key):
            continue
        if key != "delete":
            section[key] = value
        elif section is pending:
            deleted = _deleted(value)
    # What names a state of the file, not a secret: Proxmox VE's own choice.
    return GuestConfig(active, pending, deleted, snapshots, hashlib.sha1(raw).hexdigest())  # noqa: S324


def _deleted(text: str) -> FrozenSet[str]:
    """Keys that wait for their removal; an exclamation mark means: even from a disk in use."""
    return frozenset(entry.lstrip("!") for entry in re.split(r"[,;\s]+", text) if entry)


def parse_pending(answer: Any) -> GuestConfig:
    """The answer of ``/nodes/{node}/qemu/{vmid}/pending``: a list of keys with ``value``, ``pending`` and ``delete``.

    :raises InvalidValueError: when it is something else.
    """
    active: Dict[str, str] = {}
    pending: Dict[str, str] = {}
    deleted = set()
    for item in entries(answer, "key"):
        key = str(item["key"])
        if item.get("value") is not None:
            active[key] = str(item["value"])
        if item.get("pending") is not None:
            pending[key] = str(item["pending"])
        if item.get("delete"):
            deleted.add(key)
    # The API names a snapshot's parent only: the snapshot that the guest came from.
    return GuestConfig(active, pending, frozenset(deleted), "parent" in active, active.pop("digest", ""))


@dataclass(frozen=True)
class Listed:
    """A guest as the list of its node shows it."""

    vmid: int
    name: str
    running: bool = False
    pid: int = 0
    template: bool = False
    lock: str = ""


def parse_list(answer: Any) -> List[Listed]:
    """The answer of ``/nodes/{node}/qemu``, by number. Containers are in another list.

    :raises InvalidValueError: when it is something else.
    """
    return sorted((_listed(item) for item in entries(answer, "vmid")), key=lambda guest: guest.vmid)


def _listed(item: Mapping[str, Any]) -> Listed:
    vmid, pid = str(item["vmid"]), str(item.get("pid") or 0)
    if not re.fullmatch(r"[1-9][0-9]{2,8}", vmid) or not re.fullmatch(r"[0-9]{1,9}", pid):
        raise InvalidValueError("vmid", vmid, "an integer from 100 to 999999999, and a pid that is one")
    return Listed(
        vmid=int(vmid),
        name=str(item.get("name") or f"VM {vmid}"),
        running=item.get("status") == "running",
        pid=int(pid),
        template=str(item.get("template") or 0) == "1",
        lock=str(item.get("lock") or ""),
    )


def parse_site(answer: Any) -> Tuple[str, str]:
    """(cluster, node) from the answer of ``/cluster/status``; the cluster is empty where there is only one node."""
    cluster = node = ""
    for item in entries(answer, "type"):
        if item["type"] == "cluster":
            cluster = str(item.get("name") or "")
        elif item["type"] == "node" and item.get("local"):
            node = str(item.get("name") or "")
    return cluster, node


def entries(answer: Any, key: str) -> Iterable[Mapping[str, Any]]:
    """The entries of a list of objects that all have this key."""
    if not isinstance(answer, list) or not all(isinstance(item, dict) and key in item for item in answer):
        raise InvalidValueError("the answer of the API", answer, f"a list of objects with {key}")
    return answer
