# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU that is a thread: a QMP server on a real socket, with the objects that the questions and commands are about.

It refuses what QEMU 7.2 refused when it was tried: buses that are full or cannot hot-plug, ids that are taken, chardevs
in use, a second device_del. Like QEMU it serves one client at a time, and removes a backend that is in use.
"""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}, "capabilities": []}}
QUERIES = ("qmp_capabilities", "qom-get", "qom-list", "qom-list-types")
NO_LIMIT = 2**63 - 1
OPTIONS = ("iommu_platform", "ats", "packed", "page-per-vq")


class Refused(Exception):  # noqa: N818  an answer
    """An error as QEMU words it."""


class FakeQemu:
    """Listens until it is closed. ``releases`` is whether its guest lets go of devices."""

    def __init__(self, path: Path, name: str = "web1", uuid: str = "", machine: str = "pc-q35-7.2") -> None:
        self.name, self.uuid, self.machine = name, uuid or "00000000-0000-0000-0000-000000000000", machine
        self.path = str(path)
        self.ports: dict[str, bool] = {"rp1": True, "rp2": True}  # and whether they can hot-plug
        self.devices: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.chardevs: dict[str, dict[str, Any]] = {}
        self.leaving: set[str] = set()
        self.releases = True
        self.slots = 4
        self.commands: list[str] = []
        self.before: Any = None  # called with each command
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._client: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def writes(self) -> list[str]:
        """The commands that change something."""
        return [name for name in self.commands if name not in QUERIES and not name.startswith("query-")]

    def add_rng(self, id: str = "rng0", bus: str = "rp1", **properties: Any) -> None:  # noqa: A002  QEMU's word
        """As given on the command line."""
        self.objects[f"obj-{id}"] = {"qom-type": "rng-random", "filename": "/dev/urandom"}
        self.devices[id] = {"driver": "virtio-rng-pci", "bus": bus, "rng": f"obj-{id}", **properties}

    def release(self, name: str) -> None:
        """The guest lets go of a device."""
        del self.devices[name]
        self.leaving.discard(name)

    def close(self) -> None:
        """End, as QEMU does when it is killed."""
        for one in (self._listener, self._client):
            if one is not None:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # not connected
                one.close()

    def _serve(self) -> None:
        while True:
            try:
                self._client, dummy = self._listener.accept()
                self._talk(self._client)
            except OSError:
                if self._listener.fileno() < 0:
                    return

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rw", encoding="utf-8") as stream:
            self._say(stream, GREETING)
            for line in stream:
                request = json.loads(line)
                self.commands.append(request["execute"])
                if self.before is not None:
                    self.before(request["execute"])
                self._say(stream, {"event": "RTC_CHANGE", "data": {}, "timestamp": {}})
                try:
                    method = getattr(self, "_" + request["execute"].replace("-", "_"))
                    answer = {
                        "return": method(**{k.replace("-", "_"): v for k, v in request.get("arguments", {}).items()})
                    }
                except Refused as why:
                    answer = {"error": {"class": "GenericError", "desc": str(why)}}
                self._say(stream, {**answer, "id": request["id"]})

    @staticmethod
    def _say(stream: Any, message: dict[str, Any]) -> None:
        stream.write(json.dumps(message) + "\r\n")
        stream.flush()

    # Questions -------------------------------------------------------------------------------------------------------

    def _qmp_capabilities(self) -> dict[str, Any]:
        return {}

    def _query_name(self) -> dict[str, Any]:
        return {"name": self.name} if self.name else {}

    def _query_uuid(self) -> dict[str, Any]:
        return {"UUID": self.uuid}

    def _query_target(self) -> dict[str, Any]:
        return {"arch": "x86_64"}

    def _query_pci(self) -> list[Any]:
        if self.machine.startswith(("microvm", "isapc")):
            return []
        return [{"bus": 0, "devices": [{"slot": slot} for slot in range(self.slots)]}]

    def _query_chardev(self) -> list[Any]:
        return [{"label": name, "frontend-open": entry.get("open", True)} for name, entry in self.chardevs.items()]

    def _qom_list_types(self, implements: str) -> list[Any]:
        names = {
            "rng-backend": ["rng-random", "rng-egd", "rng-builtin"],
            "virtio-rng-pci-base": ["virtio-rng-pci", "virtio-rng-pci-transitional", "virtio-rng-pci-non-transitional"],
        }
        return [{"name": name} for name in names[implements]]

    def _qom_list(self, path: str) -> list[Any]:
        if path == "/objects":
            return [{"name": name, "type": f"child<{made['qom-type']}>"} for name, made in self.objects.items()]
        if path in ("/machine/peripheral", "/machine/peripheral-anon"):
            nameless = path.endswith("anon")
            found = [
                {"name": name, "type": f"child<{made['driver']}>"}
                for name, made in self.devices.items()
                if name.startswith("device[") == nameless
            ]
            ports = [] if nameless else [{"name": name, "type": "child<pcie-root-port>"} for name in self.ports]
            return [{"name": "type", "type": "string"}, *found, *ports]
        bus = path.rpartition("/")[2]
        if bus not in self.ports:
            raise Refused(f"Device '{path}' not found")
        return [{"name": "child[0]", "type": "link<x>"} for made in self.devices.values() if made.get("bus") == bus]

    def _qom_get(self, path: str, property: str) -> Any:  # noqa: A002  QEMU's word
        if path == "/machine":
            return f"{self.machine}-machine"
        name = path.rpartition("/")[2]
        if path.startswith("/objects/"):
            made = self.objects[name]
            return made["qom-type"] if property == "type" else made[property]
        if path.startswith("/chardevs/"):
            return {"addr": self.chardevs[name].get("addr"), "connected": True}[property]
        if name in self.ports:
            return self.ports[name]
        made = self.devices[name]
        if property == "rng":
            return f"/objects/{made['rng']}"
        defaults = {"max-bytes": NO_LIMIT, "period": 65536, "hotpluggable": True, **dict.fromkeys(OPTIONS, False)}
        if property not in defaults:
            raise Refused(f"Property '{made['driver']}.{property}' not found")
        return made.get(property, defaults[property])

    # Commands --------------------------------------------------------------------------------------------------------

    def _chardev_add(self, id: str, backend: dict[str, Any]) -> dict[str, Any]:  # noqa: A002  QEMU's word
        if id in self.chardevs:
            raise Refused(f"Chardev with id '{id}' already exists")
        address = backend["data"]["addr"]
        self.chardevs[id] = {"addr": {"type": address["type"], **address["data"]}}
        return {}

    def _chardev_remove(self, id: str) -> dict[str, Any]:  # noqa: A002  QEMU's word
        if id not in self.chardevs:
            raise Refused(f"Chardev '{id}' not found")
        if any(made.get("chardev") == id for made in self.objects.values()):
            raise Refused(f"Chardev '{id}' is busy")
        del self.chardevs[id]
        return {}

    def _object_add(self, qom_type: str, id: str, **properties: Any) -> dict[str, Any]:  # noqa: A002  QEMU's word
        if id in self.objects:
            raise Refused(f"attempt to add duplicate property '{id}' to object (type 'container')")
        self.objects[id] = {"qom-type": qom_type, **properties}
        return {}

    def _object_del(self, id: str) -> dict[str, Any]:  # noqa: A002  QEMU's word
        if id not in self.objects:
            raise Refused(f"object '{id}' not found")
        del self.objects[id]
        return {}

    def _device_add(self, driver: str, id: str, rng: str, bus: str = "", **more: Any) -> dict[str, Any]:  # noqa: A002
        if rng not in self.objects:
            raise Refused(f"Device '{rng}' not found")
        if bus in self.ports and not self.ports[bus]:
            raise Refused(f"Bus '{bus}' does not support hotplugging")
        if bus in self.ports and any(made["bus"] == bus for made in self.devices.values()):
            raise Refused(f"PCI: slot 0 function 0 already occupied on {bus}")
        self.devices[id] = {
            "driver": driver,
            "bus": bus,
            "rng": rng,
            **{k.replace("_", "-"): v for k, v in more.items()},
        }
        return {}

    def _device_del(self, id: str) -> dict[str, Any]:  # noqa: A002  QEMU's word
        name = id.rpartition("/")[2]
        if name not in self.devices:
            raise Refused(f"Device '{id}' not found")
        if name in self.leaving:
            raise Refused(f"Device {id} is already in the process of unplug")
        self.leaving.add(name)
        if self.releases:
            self.release(name)
        return {}
