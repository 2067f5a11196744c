# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for Proxmox VE in real runs of ansible-playbook, on a node that a stand-in plays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from node import Node

# Each file as Proxmox VE writes it; a guest runs when its number is odd.
CONFIGS = {
    101: "memory: 512\nname: web1\n",
    102: "#of the shop%3A\nmemory: 512\nname: web2\nrng0: /dev/urandom\n",
    103: "name: old\nrng0: source=/dev/urandom,max_bytes=1024\n\n[before]\nname: old\nrng0: /dev/hwrng\n",
    104: "name: builtin\n",
    105: "lock: backup\nname: saved\n",
    106: "name: golden\ntemplate: 1\n",
    107: "name: right\nrng0: /dev/urandom\n",
    108: "name: twin\n",
    110: "name: twin\nrng0: /dev/urandom\n",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    found = Node(tmp_path_factory.mktemp("node"))
    for vmid, text in CONFIGS.items():
        found.add(vmid, text, vmid % 2 == 1)
    return found


def outcomes(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {entry["guest"]: (entry["config"], entry["live"]) for entry in found["result"]["guests"]}


def test_the_whole_way(node: Node) -> None:
    before = node.texts()
    predicted = node.converge("--check")
    assert node.texts() == before
    assert [call for call in node.calls() if call[0] != "get"] == []

    first = node.converge()
    assert outcomes(first) == {
        "old": ("removed", "needs_restart"),
        "twin (108)": ("added", "not_applicable"),
        "web1": ("added", "needs_restart"),
        "web2": ("replaced", "not_applicable"),
    }
    assert outcomes(predicted) == outcomes(first)
    refused = {entry["guest"]: entry["reason"] for entry in first["plan"]["hosts"]["pve1"]["refused"]}
    assert refused == {
        "builtin": "source builtin: this hypervisor offers random",
        "saved": "it is locked (backup); try again when that is over",
    }
    after = node.texts()
    assert {vmid for vmid in before if before[vmid] != after[vmid]} == {101, 102, 103, 108}
    assert after[101] == before[101] + "\n[PENDING]\nrng0: source=/dev/urandom,period=1000,max_bytes=1024\n"
    assert "rng0: source=/dev/random,period=1000,max_bytes=0\n" in after[102]
    assert "\n[PENDING]\ndelete: rng0\n" in after[103]
    assert after[103].endswith("\n[before]\nname: old\nrng0: /dev/hwrng\n")

    node.pvesh("create", "/nodes/localhost/qemu/101/status/stop")
    node.pvesh("create", "/nodes/localhost/qemu/101/status/start")
    second = node.converge()
    assert outcomes(second) == {}
    (web1,) = [guest for guest in second["observed"]["guests"] if guest["name"] == "web1"]
    assert web1["config"] == web1["live"] != []
    # The list and the version; who has nothing to apply asks nothing.
    assert len(node.calls()) == 2

    third = node.converge("-e", "virtio_rng_remove=true", "-e", "exclusive=false")
    assert outcomes(third) == {
        "twin (108)": ("removed", "not_applicable"),
        "web1": ("removed", "needs_restart"),
        "web2": ("removed", "not_applicable"),
    }
    node.pvesh("create", "/nodes/localhost/qemu/101/status/stop")
    assert node.texts()[101] == before[101]
    assert node.texts()[107] == before[107], "the device of others stays"


def test_five_hundred_guests_in_few_calls(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    for number in range(500):
        rng = "rng0: source=/dev/urandom,period=1000,max_bytes=1024\n" if number else ""
        uuid = f"1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a{number:04x}"
        text = f"name: g{number:03}\n{rng}smbios1: uuid={uuid}\n"
        (node.configs / f"{1000 + number}.conf").write_text(text)
    found = node.converge()
    assert outcomes(found) == {"g000": ("added", "not_applicable")}
    # The list and the version to observe; the list, the change and a look at its outcome to apply.
    assert sorted(call[:2] for call in node.calls()) == [
        ["get", "/nodes/localhost/qemu"],
        ["get", "/nodes/localhost/qemu"],
        ["get", "/nodes/localhost/qemu/1000/status/current"],
        ["get", "/version"],
        ["set", "/nodes/localhost/qemu/1000/config"],
    ]
