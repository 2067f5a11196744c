# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command and its limits, over programs that stand in its place."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox as transport
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox import (
    GoneError,
    ModifiedError,
    Pvesh,
    RefusedError,
    bounded_run,
    read_config,
)

Program = Callable[[str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a Python program in the place of pvesh."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(code: str) -> None:
        path = tmp_path / "pvesh"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{code}\n")
        path.chmod(0o755)

    return put


def test_arguments_are_never_read_by_a_shell(program: Program) -> None:
    program("print(json.dumps(sys.argv[1:]))")
    assert Pvesh().get("/nodes/localhost/qemu", name="a b;$(c) --delete x") == [
        *("get", "/nodes/localhost/qemu", "--name", "a b;$(c) --delete x", "--output-format", "json")
    ]


def test_a_list_is_given_as_the_same_option_several_times(program: Program) -> None:
    program("print(json.dumps(sys.argv[1:]))")
    assert Pvesh().create("/agent/exec", command=["sh", "-c", "a b"])[2:8] == [
        *("--command", "sh", "--command", "-c", "--command", "a b")
    ]


def test_what_a_change_prints_is_for_people(program: Program) -> None:
    program("print('update VM 101: -rng0 /dev/urandom')")
    Pvesh().set("/nodes/localhost/qemu/101/config", rng0="/dev/urandom")


def test_there_is_nothing_to_read(program: Program) -> None:
    program("print(json.dumps(sys.stdin.read()))")
    assert Pvesh().get("/version") == ""


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("checksum mismatch (file change by other user?)", ModifiedError, "somebody else changed its configuration"),
        ("VM is locked (backup)", GuestError, r"it is locked \(backup\)$"),
        (
            "Configuration file 'nodes/pve1/qemu-server/9.conf' does not exist",
            GoneError,
            "the guest is no longer on this node",
        ),
        (
            "403 Permission check failed (/vms/101, VM.Config.HWType)",
            GuestError,
            r"^403 Permission check failed \(/vms/101, VM.Config.HWType\); needed are VM.Config.HWType on the guest, ",
        ),
        ("cluster not ready - no quorum?", HypervisorError, r"^pvesh get /x: cluster not ready - no quorum\?$"),
        ("ipcc_send_rec[1] failed: Connection refused", HypervisorError, "Connection refused"),
        ("please run as root", HypervisorError, "please run as root"),
        (
            "400 Parameter verification failed.\nrng0: invalid format\n\npvesh set <api_path> [OPTIONS]",
            RefusedError,
            "^pvesh get /x: 400 Parameter verification failed.; rng0: invalid format$",
        ),
        ("\x1b[31m" + "x" * 1000, RefusedError, r"^pvesh get /x: \\x1b\[31mx+\.\.\.$"),
        ("", RefusedError, "^pvesh get /x: exit code 255$"),
    ],
    ids=range(10),
)
def test_errors(text: str, kind: type[Exception], message: str, program: Program) -> None:
    program(f"print({text!r}, file=sys.stderr)\nsys.exit(255)")
    with pytest.raises(kind, match=message) as caught:
        Pvesh().get("/x")
    assert caught.type is kind


@pytest.mark.parametrize("output", ["", "no json", "[" * 100000])
def test_an_answer_that_is_no_json(output: str, program: Program) -> None:
    program(f"print({output!r})")
    with pytest.raises(HypervisorError, match=r"^pvesh get /version: the answer is no JSON"):
        Pvesh().get("/version")


def test_no_proxmox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(transport, "_PATH", str(tmp_path))
    with pytest.raises(HypervisorError, match=r"^there is no pvesh here, so this is no Proxmox VE node$"):
        Pvesh().get("/version")


def test_a_command_that_hangs_ends_with_all_that_it_started(program: Program, tmp_path: Path) -> None:
    program(f"child = os.fork()\nif child: open({str(tmp_path / 'child')!r}, 'w').write(str(child))\ntime.sleep(600)")
    with pytest.raises(TimedOutError, match=r"^pvesh did not answer within 5 seconds, the outcome is unknown$"):
        Pvesh(seconds=5).get("/version")
    child = Path("/proc", (tmp_path / "child").read_text(), "stat")
    until = time.monotonic() + 60
    with contextlib.suppress(OSError):  # it may go between two looks
        while " Z " not in child.read_text():
            assert time.monotonic() < until, "its child still runs"
            time.sleep(0.01)


def test_a_command_that_writes_for_ever(program: Program) -> None:
    program("while True: os.write(1, b'x' * 65536)")
    with pytest.raises(HypervisorError, match=r"^pvesh wrote more than 1000000 bytes$"):
        Pvesh(limit=1_000_000).get("/version")


def test_of_many_warnings_the_last_words_count(program: Program) -> None:
    program("os.write(2, b'warning\\n' * 100000)\nprint('VM is locked (backup)', file=sys.stderr)\nsys.exit(2)")
    with pytest.raises(GuestError, match=r"^it is locked \(backup\)$"):
        Pvesh().get("/version")


def test_warnings_of_a_command_that_succeeds(program: Program) -> None:
    program("print('vm 101 - unable to parse', file=sys.stderr)\nprint(json.dumps([]))")
    assert Pvesh().get("/nodes/localhost/qemu") == []


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match=r"No such file or directory$"):
        bounded_run([str(tmp_path / "missing")], 1, 1)


def test_messages_come_in_the_language_of_their_markers(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    program("print(json.dumps(os.environ['LC_ALL']))")
    assert Pvesh().get("/version") == "C"


def test_configurations(tmp_path: Path) -> None:
    (tmp_path / "101.conf").write_text("name: web1\n")
    (tmp_path / "102.conf").symlink_to(tmp_path / "101.conf")
    (tmp_path / "103.conf").mkdir()
    os.mkfifo(tmp_path / "104.conf")
    assert read_config(str(tmp_path), 101, 11) == b"name: web1\n"
    assert [read_config(str(tmp_path), vmid, 10) for vmid in (101, 102, 103, 104, 105)] == [None] * 5
    assert read_config(str(tmp_path / "nowhere"), 101, 10) is None
