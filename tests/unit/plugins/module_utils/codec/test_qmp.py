# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands to QEMU, by what an older and a newer one would be sent; and reading what a QEMU has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec import qmp
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError

OLD, RECENT, NEWEST = (4, 2, 0), (7, 2, 22), (10, 0, 0)
OK: dict[str, Any] = {"return": {}}


def said(conversation: Any, *answers: Any) -> tuple[list[Any], Any]:
    """What is asked, and what comes of it, when these are the answers; after the last, everything succeeds."""
    asked, left = [], list(answers)
    try:
        command = next(conversation)
        while True:
            asked.append(json.loads(command))
            command = conversation.send(json.dumps(left.pop(0) if left else OK))
    except StopIteration as told:
        return asked, told.value


def plugged(version: tuple[int, int, int] = RECENT, driver: str = "virtio-rng-pci", **wanted: Any) -> list[Any]:
    device = RngDevice.from_wire(wanted)
    asked, dummy = said(qmp.plug(device, "ua-fleet-rng", driver, "rp1", version))
    return [(one["execute"], one["arguments"]) for one in asked]


def test_plugging_a_device() -> None:
    assert plugged(driver="virtio-rng-pci") == [
        ("object-add", {"qom-type": "rng-random", "id": "ua-fleet-rng-source", "filename": "/dev/urandom"}),
        (
            "device_add",
            {
                "driver": "virtio-rng-pci",
                "id": "ua-fleet-rng",
                "rng": "ua-fleet-rng-source",
                "bus": "rp1",
                "max-bytes": 1024,
                "period": 1000,
            },
        ),
    ]


def test_plugging_without_a_limit_with_options() -> None:
    made = plugged(source="builtin", max_bytes="unlimited", model="virtio-non-transitional", driver="virtio-rng-pci")
    assert made[0][1] == {"qom-type": "rng-builtin", "id": "ua-fleet-rng-source"}
    assert made[1][1]["driver"] == "virtio-rng-pci-non-transitional"
    assert not {"max-bytes", "period"} & set(made[1][1])


def test_driver_options_by_their_names_there() -> None:
    device = RngDevice.from_wire({"driver": {"iommu": True, "ats": False, "packed": True, "page_per_vq": True}})
    asked, dummy = said(qmp.plug(device, "a", "virtio-rng-pci", "", RECENT))
    more = {"iommu_platform": True, "ats": False, "packed": True, "page-per-vq": True}
    assert more.items() <= asked[-1]["arguments"].items()
    assert "bus" not in asked[-1]["arguments"]


def test_s390x_has_one_model() -> None:
    assert plugged(driver="virtio-rng-ccw")[-1][1]["driver"] == "virtio-rng-ccw"


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("egd+unix:/run/egd.sock", {"type": "unix", "data": {"path": "/run/egd.sock"}}),
        ("egd+tcp://[::1]:708", {"type": "inet", "data": {"host": "::1", "port": "708"}}),
    ],
)
@pytest.mark.parametrize(
    ("version", "again"),
    [(RECENT, {"reconnect": 10}), ((9, 2, 0), {"reconnect-ms": 10000}), (NEWEST, {"reconnect-ms": 10000})],
)
def test_egd(source: str, address: Any, version: Any, again: Any) -> None:
    made = plugged(version, source=source)
    assert made[0] == (
        "chardev-add",
        {
            "id": "ua-fleet-rng-socket",
            "backend": {"type": "socket", "data": {"addr": address, "server": False, **again}},
        },
    )
    assert made[1][1] == {"qom-type": "rng-egd", "id": "ua-fleet-rng-source", "chardev": "ua-fleet-rng-socket"}


def test_before_qemu_5_objects_had_their_properties_apart() -> None:
    assert plugged(OLD)[0][1]["props"] == {"filename": "/dev/urandom"}


@pytest.mark.parametrize(
    ("at", "undone"),
    [
        (0, []),
        (1, [("chardev-remove", "ua-fleet-rng-socket")]),
        (2, [("object-del", "ua-fleet-rng-source"), ("chardev-remove", "ua-fleet-rng-socket")]),
    ],
)
def test_what_went_before_a_failure_is_taken_back(at: int, undone: list[Any]) -> None:
    conversation = qmp.plug(
        RngDevice.from_wire({"source": "egd+unix:/run/egd.sock"}), "ua-fleet-rng", "virtio-rng-pci", "rp1", RECENT
    )
    next(conversation)
    for dummy in range(at):
        conversation.send(json.dumps(OK))
    answer: Any = {"error": {"class": "GenericError", "desc": "it is full"}}
    for name, identity in undone:
        command = json.loads(conversation.send(json.dumps(answer)))
        assert (command["execute"], command["arguments"]) == (name, {"id": identity})
        answer = OK
    with pytest.raises(GuestError, match="QEMU: it is full"):
        conversation.send(json.dumps(answer))


def test_a_backend_is_not_removed_from_under_a_device() -> None:
    one = [{"name": "rng0", "type": "child<virtio-rng-pci>"}]
    asked, dummy = said(qmp.clear("/objects/a", "c"), {"return": one}, {"return": "/objects/a"})
    assert [command["execute"] for command in asked] == ["qom-list", "qom-get"]
    asked, dummy = said(
        qmp.clear("/objects/a", "c"),
        {"return": one},
        {"return": "/objects/b"},
        {"return": []},
        {"error": {"desc": "no"}},
    )
    assert [command["execute"] for command in asked][3:] == ["object-del", "chardev-remove"]


def test_qemus_own_backend_goes_with_its_device() -> None:
    path = "/machine/peripheral-anon/device[1]/virtio-backend/default-backend"
    asked, dummy = said(qmp.clear(path), {"return": []}, {"return": []})
    assert [command["execute"] for command in asked] == ["qom-list", "qom-list"]


@pytest.mark.parametrize(
    ("uuid", "read"),
    [
        ("00000000-0000-0000-0000-000000000000", ""),
        ("1F0A8A86-3B5D-4C5C-9A0E-0D6A6F6A7C11", "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11"),
        ("<b>", ""),
    ],
)
def test_identity(uuid: str, read: str) -> None:
    name = "a\n{{ 7*7 }}\u202e"
    assert said(qmp.ask_for_identity(), {"return": {"name": name}}, {"return": {"UUID": uuid}})[1] == (name, read)


@pytest.mark.parametrize("name", [7, "x" * 5000])
def test_no_name(name: Any) -> None:
    with pytest.raises(GuestError, match="name is none"):
        said(qmp.ask_for_identity(), {"return": {"name": name}})


def test_what_is_ours() -> None:
    assert [qmp.is_own_source(name) for name in ("ua-fleet-rng-source", "ua-fleet-rng-2-source")] == [True, True]
    assert not any(qmp.is_own_source(name) for name in ("ua-fleet-rng", "rng0", "ua-fleet-rng-x-source"))
