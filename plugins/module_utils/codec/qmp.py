# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QMP <-> our values: what a running QEMU has, and the commands that give it an RNG and take one away.

All of it as conversations: generators that yield a command, are sent QEMU's answer, and return what came of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Generator, List, Mapping, Optional, Tuple, TypeVar

from ..device import MODELS, Rate, RngDevice, Source
from ..errors import GuestError, RngError
from ..observation import FoundDevice
from ..text import printable
from .qom import MAX_DEVICES, QemuRng, RefusedError, ask_for_rng, command, parse_answer, parse_path, rng_names

T = TypeVar("T")
Conversation = Generator[str, str, T]
Version = Tuple[int, int, int]

PERIPHERAL = "/machine/peripheral"
ANONYMOUS = "/machine/peripheral-anon"
SOURCE_SUFFIX, SOCKET_SUFFIX = "-source", "-socket"  # after a device's id: those of its backend and of its chardev
RECONNECT = 10  # seconds; without it a guest whose EGD server restarts is served no more

# QEMU's property of each driver option. All of them are off unless somebody switched them on.
DRIVER_PROPERTIES = {"iommu": "iommu_platform", "ats": "ats", "packed": "packed", "page_per_vq": "page-per-vq"}

_PORTS = ("child<pcie-root-port>", "child<ioh3420>", "child<xio3130-downstream>")
_MAX_PORTS = 64
_SLOTS = 32  # of a conventional PCI bus
_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_UUID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Plugged:
    """One RNG that QEMU has: as a device of ours, and what it takes to remove it."""

    found: FoundDevice
    path: str
    backend: str = ""  # QOM path
    chardev: str = ""  # id
    hotpluggable: bool = True


@dataclass(frozen=True)
class State:
    """What one running QEMU says. ``ports`` are the buses that would take one more RNG now, by name.

    ``driver`` is the kind of virtio device that its machine takes; ``blocked`` why none can be plugged in now.
    """

    name: str
    uuid: str
    arch: str
    machine: str
    rngs: Tuple[Plugged, ...]
    driver: str
    ports: Tuple[str, ...]
    blocked: str
    backends: Tuple[str, ...]
    models: Tuple[str, ...]
    leftovers: Tuple[str, ...] = ()


def ask_for_identity() -> Conversation[Tuple[str, str]]:
    """(name, UUID); empty where it has none."""
    name = _mapping(parse_answer((yield command("query-name")))).get("name", "")
    uuid = str(_mapping(parse_answer((yield command("query-uuid")))).get("UUID", "")).lower()
    if not isinstance(name, str) or len(name) > 4096:
        raise GuestError("QEMU's name is none")
    return name, uuid if _UUID.fullmatch(uuid) and uuid != _NO_UUID else ""


def ask_for_state() -> Conversation[State]:
    """All that matters here of one QEMU, by queries only.

    :raises GuestError: when an answer is not what QEMU would say.
    """
    name, uuid = yield from ask_for_identity()
    arch = str(_mapping(parse_answer((yield command("query-target")))).get("arch", ""))
    machine = re.sub(r"-machine$", "", str(parse_answer((yield _get("/machine", "type")))))
    children = _children(parse_answer((yield command("qom-list", path=PERIPHERAL))))
    nameless = _children(parse_answer((yield command("qom-list", path=ANONYMOUS))))
    rngs: List[Plugged] = []
    for parent, listed in ((PERIPHERAL, children), (ANONYMOUS, nameless)):
        types = {child["name"]: str(child.get("type")) for child in listed}
        for child in rng_names(listed):
            if len(rngs) == MAX_DEVICES:
                raise GuestError(f"QEMU has more than {MAX_DEVICES} virtio RNGs")
            kind = types[child][len("child<") : -1]
            rngs.append((yield from _ask_for_device(f"{parent}/{child}", child, kind)))
    driver, ports, blocked = yield from _ask_for_place(machine, children)
    backends = yield from _ask_for_types("rng-backend")
    models = yield from _ask_for_types("virtio-rng-pci-base")
    return State(
        name=name,
        uuid=uuid,
        arch=printable(arch, 40),
        machine=printable(machine, 80),
        rngs=tuple(rngs),
        driver=driver,
        ports=ports,
        blocked=blocked,
        backends=tuple(item[4:] for item in backends if item.startswith("rng-")),
        models=tuple(model for model in MODELS if f"{model.replace('virtio', 'virtio-rng-pci', 1)}" in models),
        leftovers=(yield from _ask_for_leftovers(rngs)),
    )


def ask_whether_open(chardev: str) -> Conversation[Optional[bool]]:
    """Whether the guest has opened the port behind this chardev; None where QEMU does not tell."""
    listed = _unless_refused((yield command("query-chardev")))
    for item in listed if isinstance(listed, list) else ():
        if _mapping(item).get("label") == chardev and isinstance(item.get("frontend-open"), bool):
            return bool(item["frontend-open"])
    return None


def _ask_for_device(path: str, name: str, kind: str) -> Conversation[Plugged]:
    rng = yield from ask_for_rng(path, name)
    backend = parse_path("rng", parse_answer((yield _get(path, "rng"))))
    chardev = ""
    if rng.backend == "rng-egd":
        chardev = str(parse_answer((yield _get(backend, "chardev"))))
    driver: Dict[str, bool] = {}
    for option, name_there in DRIVER_PROPERTIES.items():
        if _unless_refused((yield _get(path, name_there))) is True:
            driver[option] = True
    hotpluggable = _unless_refused((yield _get(path, "hotpluggable"))) is not False
    # Without an id QEMU knows a device by its path only.
    alias = path if path.startswith(ANONYMOUS) else name
    return Plugged(_found(rng, alias, kind, driver), path, backend, chardev, hotpluggable)


def _found(rng: QemuRng, alias: str, kind: str, driver: Mapping[str, bool]) -> FoundDevice:
    try:
        model = "virtio" + kind[len("virtio-rng-pci") :] if kind.startswith("virtio-rng-pci") else "virtio"
        if model not in MODELS:
            raise GuestError(f"driver {printable(kind, 60)}")
        if rng.source is None:
            raise GuestError(f"backend {rng.backend}, of which QEMU does not tell the source")
        rate = Rate() if rng.max_bytes == "unlimited" else Rate.parse(rng.max_bytes, rng.period)
        device = RngDevice(Source.parse(rng.source), rate, model, tuple(sorted(driver.items())))
        return FoundDevice(device, alias)
    except RngError as error:
        return FoundDevice(None, alias, printable(str(error)))


def _ask_for_place(machine: str, children: List[Dict[str, Any]]) -> Conversation[Tuple[str, Tuple[str, ...], str]]:
    """(driver, free buses, why there is none). A bus without a name is the machine's only one."""
    if machine.startswith("s390-ccw"):
        return "virtio-rng-ccw", ("",), ""
    buses = parse_answer((yield command("query-pci")))
    if not isinstance(buses, list) or not buses:
        if machine.startswith(("microvm", "virt")):
            return "virtio-rng-device", (), f"machine {printable(machine, 60)} has virtio-mmio, which cannot hot-plug"
        return "", (), f"machine {printable(machine, 60)} has no PCI bus"
    if machine.startswith(("pc-i440fx-", "pc-0.", "pc-1.", "pseries")):
        devices = _mapping(buses[0]).get("devices")
        used = {_mapping(device).get("slot") for device in devices} if isinstance(devices, list) else set()
        if len(used) >= _SLOTS:
            return "virtio-rng-pci", (), "no free slot on its PCI bus to plug an RNG into while it runs"
        return "virtio-rng-pci", ("pci.0",), ""
    free = []
    ports = [str(child["name"]) for child in children if child.get("type") in _PORTS and _ID.fullmatch(child["name"])]
    for port in ports[:_MAX_PORTS]:
        if _unless_refused((yield _get(f"{PERIPHERAL}/{port}", "hotplug"))) is False:
            continue
        bus = _unless_refused((yield command("qom-list", path=f"{PERIPHERAL}/{port}/{port}")))
        if isinstance(bus, list) and not any(str(_mapping(item).get("name")).startswith("child[") for item in bus):
            free.append(port)
    why = "" if free else "no free PCIe port (pcie-root-port with an id) to plug an RNG into while it runs"
    return "virtio-rng-pci", tuple(sorted(free)), why


def _ask_for_types(parent: str) -> Conversation[Tuple[str, ...]]:
    listed = _unless_refused((yield command("qom-list-types", implements=parent)))
    return tuple(str(item.get("name")) for item in listed if isinstance(item, dict)) if isinstance(listed, list) else ()


def _ask_for_leftovers(rngs: List[Plugged]) -> Conversation[Tuple[str, ...]]:
    """Our backends that no device uses: their device went after the run that asked for it had ended."""
    used = {rng.backend for rng in rngs}
    objects = _children(parse_answer((yield command("qom-list", path="/objects"))))
    own = [str(item.get("name")) for item in objects if is_own_source(str(item.get("name")))]
    return tuple(name for name in own if f"/objects/{name}" not in used)


def is_own_source(name: str) -> bool:
    return bool(re.fullmatch(r"ua-fleet-rng(-[0-9]+)?" + SOURCE_SUFFIX, name))


# Changing ------------------------------------------------------------------------------------------------------------


def plug(device: RngDevice, alias: str, driver: str, bus: str, version: Version) -> Conversation[None]:
    """Give it an RNG: socket, source, device. What went before a step that fails is taken back.

    :raises GuestError: QEMU's own reason.
    """
    source, socket = alias + SOURCE_SUFFIX, alias + SOCKET_SUFFIX
    undo = []
    try:
        if device.source.kind == "egd":
            parse_answer((yield _command("chardev-add", {"id": socket, "backend": _chardev(device.source, version)})))
            undo.append(command("chardev-remove", id=socket))
        parse_answer((yield _command("object-add", _object(device.source, source, socket, version))))
        undo.append(command("object-del", id=source))
        parse_answer((yield _command("device_add", _device(device, alias, source, driver, bus))))
    except RefusedError:
        while undo:
            yield undo.pop()
        raise


def unplug(alias: str) -> Conversation[None]:
    """Ask for the removal of a device; the guest has to agree.

    :raises RefusedError: also when it was asked for before.
    """
    parse_answer((yield command("device_del", id=alias)))


def clear(backend: str, chardev: str = "") -> Conversation[None]:
    """Remove what a device left that has gone. QEMU would remove it from under a device that has not: look first."""
    for name in (PERIPHERAL, ANONYMOUS):
        for child in rng_names(parse_answer((yield command("qom-list", path=name)))):
            used = parse_answer((yield _get(f"{name}/{child}", "rng")))
            if used == backend:
                return
    if backend.startswith("/objects/"):
        yield command("object-del", id=backend[len("/objects/") :])
    if chardev:
        yield command("chardev-remove", id=chardev)


def clear_leftovers(names: Tuple[str, ...]) -> Conversation[None]:
    """Remove backends of ours that were found without a device, and their chardevs."""
    for name in names:
        yield from clear(f"/objects/{name}", name[: -len(SOURCE_SUFFIX)] + SOCKET_SUFFIX)


def ask_for_devices() -> Conversation[Tuple[str, ...]]:
    """The aliases of the RNGs that it has, without asking for anything of them."""
    named = rng_names(parse_answer((yield command("qom-list", path=PERIPHERAL))))
    nameless = rng_names(parse_answer((yield command("qom-list", path=ANONYMOUS))))
    return (*named, *(f"{ANONYMOUS}/{name}" for name in nameless))


def _object(source: Source, name: str, chardev: str, version: Version) -> Dict[str, Any]:
    properties: Dict[str, str] = {}
    if source.kind == "random":
        properties = {"filename": source.path}
    elif source.kind == "egd":
        properties = {"chardev": chardev}
    identity = {"qom-type": f"rng-{source.kind}", "id": name}
    return {**identity, **properties} if version >= (5, 0, 0) else {**identity, "props": properties}


def _device(device: RngDevice, alias: str, source: str, driver: str, bus: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {"driver": qemu_driver(device.model, driver), "id": alias, "rng": source}
    if bus:
        found["bus"] = bus
    if device.rate.max_bytes is not None:
        found.update({"max-bytes": device.rate.max_bytes, "period": device.rate.period})
    found.update({DRIVER_PROPERTIES[name]: on for name, on in device.driver})
    return found


def qemu_driver(model: str, driver: str) -> str:
    """QEMU's name for a model; only on PCI there is a choice."""
    return driver + model[len("virtio") :] if driver == "virtio-rng-pci" else driver


def _chardev(source: Source, version: Version) -> Dict[str, Any]:
    if source.transport == "unix":
        address = {"type": "unix", "data": {"path": source.path}}
    else:
        address = {"type": "inet", "data": {"host": source.host, "port": str(source.port)}}
    again = {"reconnect-ms": RECONNECT * 1000} if version >= (9, 2, 0) else {"reconnect": RECONNECT}
    return {"type": "socket", "data": {"addr": address, "server": False, **again}}


def _command(name: str, arguments: Mapping[str, Any]) -> str:
    return json.dumps({"execute": name, "arguments": arguments})


def _get(path: str, name: str) -> str:
    return command("qom-get", path=path, property=name)


def _unless_refused(text: str) -> Optional[Any]:
    try:
        return parse_answer(text)
    except RefusedError:
        return None


def _children(listed: Any) -> List[Dict[str, Any]]:
    if not isinstance(listed, list) or not all(isinstance(child, dict) for child in listed):
        raise GuestError("QEMU's list of objects is none")
    return [child for child in listed if isinstance(child.get("name"), str)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
