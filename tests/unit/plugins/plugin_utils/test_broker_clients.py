# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the broker of a hypervisor, and a guest among its clients; verdicts are in the table of verify."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.converge import Decision, LayerDecision
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret, unseen
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice, ObservedGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_clients import broker_of, check_client
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import NOT_APPLICABLE, PASS, UNKNOWN, Case, Check

OPENED = Check(NOT_APPLICABLE, "the host was not asked")


def client(guest: str, pid: int | None = None, **more: Any) -> dict[str, Any]:
    return {"guest": guest, "class": "gold", "pid": pid, "bytes": 64, "requests": 1, "waiting": None, **more}


def check(name: str, source: str, *clients: dict[str, Any], pid: int | None = None) -> Check:
    device = RngDevice.from_wire({"source": source, "max_bytes": 1024, "period": 1000})
    guest = ObservedGuest(name, "", live=(FoundDevice(device),), host_view={"pid": pid})
    classes = [
        {"name": "gold", "sockets": ["/run/virtrngd/gold.sock", "/srv/rng.sock"]},
        {"name": "tin", "sockets": ["/run/virtrngd/tin.sock"]},
    ]
    broker = {
        "status": "running",
        "clients": 1,
        "classes": classes,
        "guests": list(clients),
        "guests_total": len(clients),
    }
    nothing = LayerDecision("", "")
    return check_client(Case(guest, device, Decision(nothing, nothing), broker=broker), OPENED)


def test_that_nobody_looked_is_not_that_there_is_none() -> None:
    assert broker_of(interpret({})) is None
    for host in ({}, unseen("only its API is asked")):
        broker = broker_of(host)
        assert broker is not None
        assert broker["status"] == "unreadable"


@pytest.mark.parametrize(
    ("name", "source", "clients", "pid", "result"),
    [
        ("web1", "egd+unix:/run/virtrngd/gold.sock", [client("web1")], None, PASS),
        ("web1", "egd+unix:/run/virtrngd/gold.sock", [client("other", 7)], 7, PASS),
        ("web1", "egd+unix:/run/virtrngd/gold.sock", [client("web1", 8)], 7, UNKNOWN),  # of another hypervisor's kind
        ("web1", "egd+unix:/run/virtrngd/gold.sock", [client("web1", None)], 7, PASS),
        ("a\nb", "egd+unix:/run/virtrngd/gold.sock", [client(r"a\x0ab")], None, PASS),
        ("web1", "egd+unix:/srv/rng.sock", [client("web1")], None, PASS),
        ("web1", "egd+unix:/srv/other.sock", [client("web1")], None, NOT_APPLICABLE),
        ("web1", "egd+udp://127.0.0.1:7001", [client("web1")], None, NOT_APPLICABLE),
        ("web1", "/dev/urandom", [client("web1")], None, NOT_APPLICABLE),
        ("web1", "builtin", [], None, NOT_APPLICABLE),
        ("web1", "egd+unix:/run/virtrngd/gold.sock", [], None, UNKNOWN),
    ],
)
def test_a_guest_is_found_among_the_clients(
    name: str, source: str, clients: list[dict[str, Any]], pid: int | None, result: str
) -> None:
    assert check(name, source, *clients, pid=pid).result == result


def test_of_several_connections_that_on_its_socket_is_meant() -> None:
    both = (client("web1", **{"class": "tin", "bytes": 1}), client("web1"))
    assert "class gold: 64 bytes" in check("web1", "egd+unix:/run/virtrngd/gold.sock", *both).message
    assert "class tin: 1 bytes" in check("web1", "egd+unix:/run/virtrngd/tin.sock", *both).message
