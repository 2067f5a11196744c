# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's guests of Ganeti and Proxmox VE, without either: their parameters and files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from lab import GuestSpec, Lab, LabSpec
from lab.ganeti import Instance, linux_parameters
from lab.network import Network
from lab.node import NodeGuest
from lab.proxmox import Files

SPEC = {
    "hosts": {
        "pve1": {
            "kind": "proxmox",
            "guests": {
                "first": {},
                "second": {"running": False, "config": "#by hand\nagent: 1\n\n[before]\nmemory: 1\n"},
            },
        },
        "gnt1": {"kind": "ganeti", "guests": {"third": {"firmware_only": True, "parameters": ["kvm_extra=-a b,c\\d"]}}},
    }
}


def lab(state: Path) -> Lab:
    made = Lab(LabSpec.parse(SPEC), state)
    made._populate(Network(3))
    return made


def pvesh(files: Files, *words: str) -> str:
    command = [str(files.root / "bin/pvesh"), *words, "--output-format", "json"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_node_is_played_from_its_own_directory(tmp_path: Path) -> None:
    node = lab(tmp_path)
    files = Files(node.host("pve1").directory / "proxmox")
    files.create(node="pve1", own_program=True)
    for name in ("first", "second"):
        guest = node.guest(name)
        assert isinstance(guest, NodeGuest)
        guest.define(None)
    text = files.texts()[102]
    assert text.startswith("#by hand\nagent: 1\nname: second\nsmbios1: uuid=")
    assert text.endswith("\n\n[before]\nmemory: 1\n")
    pvesh(files, "create", "/nodes/localhost/qemu/101/status/start")
    told = json.loads(pvesh(files, "get", "/nodes/pve1/qemu"))
    assert {guest["name"]: guest["status"] for guest in told} == {"first": "running", "second": "stopped"}


def test_an_instance_gets_its_parameters_as_they_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = lab(tmp_path).guest("third")
    assert isinstance(guest, Instance)
    given: list[tuple[str, ...]] = []
    monkeypatch.setattr(guest.cluster, "add", lambda *words, memory: given.append((*words, str(memory))))
    guest.define(None)
    assert given == [("third", "kvm_extra=-a b\\,c\\\\d", "160")]


def test_an_instance_learns_from_its_command_line_how_to_behave() -> None:
    parameters = dict(word.split("=", 1) for word in linux_parameters(GuestSpec("a", driver=False)))
    assert "lab.driver=no" in parameters["kernel_args"].split()
    assert parameters["initrd_path"].endswith("/agent.initrd")
