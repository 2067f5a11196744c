# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding guests, by a /proc that is made up and by real sockets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import qemu_guests
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_guests import Entry, find, identified
from ansible_collections.fleet.rng.plugins.module_utils.transport import process
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_qemu import FakeQemu

UUID = "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11"
Processes = Callable[[dict[int, str]], None]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    def install(lines: dict[int, str]) -> None:
        words = {pid: ["qemu-system-x86_64", *line.split()] for pid, line in lines.items()}
        monkeypatch.setattr(process, "qemu_command_lines", lambda: words)

    return install


def test_by_processes(processes: Processes, tmp_path: Path) -> None:
    qemu = FakeQemu(tmp_path / "a")
    processes(
        {1: f"-name web1 -uuid {UUID} -qmp unix:{qemu.path},server=on", 2: "-name web2 -qmp unix:/gone,server=on"}
    )
    entries, notes = find((), True)
    assert [(entry.pid, entry.name, entry.sockets) for entry in entries] == [(1, "web1", (qemu.path,)), (2, "web2", ())]
    assert entries[0].uuid == UUID
    assert notes == []
    qemu.close()


def test_guests_of_others_are_left_alone(processes: Processes) -> None:
    processes({7: "-name guest=a\u202e -object secret,id=masterKey0", 8: "-pidfile /run/ganeti/x"})
    assert find((), True) == (
        [],
        [
            "a\\u202e (process 7) is a guest of libvirt, which has to change it",
            "process 8 is a guest of Ganeti, which has to change it",
        ],
    )


def test_by_sockets_of_a_process_that_is_known(processes: Processes, tmp_path: Path) -> None:
    qemu = FakeQemu(tmp_path / "a.qmp")
    processes({os.getpid(): "-name web1 -qmp unix:/elsewhere,server=on"})
    for also in (True, False):
        entries, dummy = find((f"{tmp_path}/*.qmp",), also)
        assert [(entry.name, entry.sockets) for entry in entries] == [("web1", (qemu.path,))]
    qemu.close()


def test_several_sockets_are_one_guest(processes: Processes, tmp_path: Path) -> None:
    first, second = FakeQemu(tmp_path / "a.qmp"), FakeQemu(tmp_path / "b.qmp")
    (tmp_path / "link.qmp").symlink_to(tmp_path / "a.qmp")
    processes({os.getpid(): f"-name web1 -qmp unix:{first.path},server=on"})
    entries, dummy = find((f"{tmp_path}/*.qmp", f"{tmp_path}/a*"), True)
    assert [entry.sockets for entry in entries] == [(second.path, first.path)]
    first.close()
    second.close()


def test_sockets_of_strangers_and_dead_ones(processes: Processes, tmp_path: Path) -> None:
    processes({})
    (tmp_path / "file.qmp").write_text("")
    dead, qemu = FakeQemu(tmp_path / "dead.qmp"), FakeQemu(tmp_path / "x.qmp")
    dead.close()
    entries, notes = find((f"{tmp_path}/*.qmp", f"{tmp_path}/none*"), True)
    assert entries == [Entry(sockets=(qemu.path,))]
    assert len(notes) == 1
    assert "dead.qmp: nobody answers there" in notes[0]
    qemu.close()


def test_sockets_of_managed_guests(processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu = FakeQemu(tmp_path / "a.qmp")
    processes({os.getpid(): "-object secret,id=masterKey0"})
    assert find((qemu.path,), False)[0] == []
    processes({})
    monkeypatch.setattr(qemu_guests, "manager_of", lambda path: "Proxmox VE")
    entries, notes = find((qemu.path,), False)
    assert entries == []
    assert "is a socket of Proxmox VE" in notes[0]
    qemu.close()


@pytest.mark.parametrize(
    ("name", "uuid", "known"),
    [("a", UUID, ("a", UUID)), ("", UUID, (UUID, UUID)), ("", "", ("/s", qemu_guests.derived_uuid("/s")))],
)
def test_names(name: str, uuid: str, known: tuple[str, str]) -> None:
    entry = identified(Entry(sockets=("/s", "/t")), name, uuid)
    assert (entry.name, entry.uuid) == known


def test_a_derived_uuid_is_always_the_same() -> None:
    assert qemu_guests.derived_uuid("web1") == "667ef1d9-2bd2-5ebd-a297-0a5d98a07be0"
    assert identified(Entry(pid=7), "", "").name == "process 7"


def test_relative_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    assert qemu_guests.absolute(os.getpid(), "a/b") == f"{Path.cwd()}/a/b"
    monkeypatch.setattr(process, "PROC", "/nonexistent")
    assert qemu_guests.absolute(os.getpid(), "a/b") == ""
