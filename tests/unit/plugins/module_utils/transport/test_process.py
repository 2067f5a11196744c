# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU processes and what they have open: a /proc of files, and this machine's own sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.transport import process

UUID = "6b1f1f0e-6c1c-4f0b-9a55-3f0f0c9d6a10"
OTHER = "6b1f1f0e-6c1c-4f0b-9a55-3f0f0c9d6a11"
QEMU = "/usr/bin/qemu-system-x86_64"
URANDOM, NULL = (1, 9), (1, 3)


class Proc:
    """A /proc below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, pid: int, *arguments: str, exe: str | None = QEMU, **descriptors: str) -> Path:
        """A process; the descriptors are named ``fd3`` and so on. Without ``exe`` it is a thread of the kernel."""
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True)
        if exe:
            (folder / "exe").symlink_to(exe)
        (folder / "cmdline").write_text("".join(f"{argument}\0" for argument in arguments))
        for name, target in descriptors.items():
            (folder / "fd" / name[2:]).symlink_to(target)
        return folder


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    root = tmp_path / "proc"
    root.mkdir()
    (root / "version").touch()
    monkeypatch.setattr(process, "PROC", str(root))
    return Proc(root)


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, end: str) -> None:
    """Let a function of os refuse paths that end like this."""
    real = getattr(os, name)

    def refusing(path: Any, *rest: Any) -> Any:
        if str(path).endswith(end):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr(process.os, name, refusing)


def test_processes_by_uuid(proc: Proc) -> None:
    proc.add(1, "/sbin/init", exe="/sbin/init")
    proc.add(2, exe=None)
    proc.add(7, QEMU, "-name", "guest=a", "-uuid", UUID.upper(), "-append", "-uuid")
    proc.add(8, "kvm", "--uuid", OTHER, exe="/usr/bin/qemu-system-x86_64 (deleted)")
    proc.add(9, QEMU, "-name", "-uuid", "-append", "-uuid=" + OTHER)
    proc.add(10, "/usr/bin/python3", "-uuid", UUID, exe="/usr/bin/python3")
    proc.add(11, "grep", QEMU, "-uuid", UUID, exe="/usr/bin/grep")
    assert process.qemu_processes() == {UUID: 7, OTHER: 8}
    assert process.is_guest(7, UUID)
    assert process.is_guest(7, UUID.upper())
    assert not process.is_guest(7, OTHER)
    assert not process.is_guest(12, UUID)


def test_command_lines(proc: Proc) -> None:
    proc.add(7, QEMU, "-name", "a", "")
    proc.add(8, "/usr/bin/python3", QEMU, exe="/usr/bin/python3")
    proc.add(9, exe=QEMU)
    assert process.qemu_command_lines() == {7: [QEMU, "-name", "a", "", ""]}


def test_the_user_that_a_process_opens_files_as(proc: Proc) -> None:
    (proc.add(7, QEMU) / "status").write_text("Name:\tq:x\nUid:\t0\t0\t0\t64055\nGid:\t1\t2\t3\t4\n")
    (proc.add(8, QEMU) / "status").write_text("Uid:\t0\n")
    assert process.user_of(7) == (64055, 4)
    assert process.user_of(8) is process.user_of(9) is None


def test_whose_rights_alone_a_qemu_has(proc: Proc) -> None:
    helper = "/usr/lib/qemu/qemu-bridge-helper"
    (proc.add(7, QEMU) / "status").write_text("Name:\tq:x\nUid:\t64055\t64055\t64055\t64055\n")
    (proc.add(8, QEMU, exe=helper) / "status").write_text("Uid:\t1000\t0\t0\t0\n")
    (proc.add(9, QEMU, exe="/usr/bin/passwd") / "status").write_text("Uid:\t0\t0\t0\t0\n")
    (proc.add(10, QEMU) / "status").write_text("Uid:\t0\n")
    assert process.sole_uid(7) == 64055
    assert process.sole_uid(8) is None, "started by somebody else"
    assert process.sole_uid(9) is None, "QEMU by its words only"
    assert process.sole_uid(10) is process.sole_uid(11) is None


def test_two_that_claim_a_uuid(proc: Proc) -> None:
    for pid in (7, 8, 9):
        proc.add(pid, QEMU, "-uuid", UUID)
    assert process.qemu_processes() == {UUID: process.SEVERAL}


def test_without_the_right_to_see_programs_the_command_line_has_to_do(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.add(7, QEMU, "-uuid", UUID)
    proc.add(8, "/bin/sh", "-uuid", OTHER)
    refuse(monkeypatch, "readlink", "/exe")
    assert process.qemu_processes() == {UUID: 7}


def test_a_process_that_ends_while_one_looks(proc: Proc) -> None:
    (proc.add(7, QEMU, "-uuid", UUID) / "cmdline").unlink()
    proc.add(8, QEMU, "-uuid", OTHER)
    assert process.qemu_processes() == {OTHER: 8}


def test_devices_are_known_by_number_and_sockets_by_inode(proc: Proc) -> None:
    proc.add(
        7, QEMU, fd0="/dev/null", fd1="/var/log/a.log", fd3="/dev/urandom", fd4="/dev/urandom", fd5="socket:[4711]",
        fd6="pipe:[12]", fd7="/dev/not-there", fd8="/dev",
    )  # fmt: skip
    files = process.open_files(7)
    assert sorted((device.number, device.path) for device in files.devices) == [
        (NULL, "/dev/null"), (URANDOM, "/dev/urandom"), (URANDOM, "/dev/urandom"),
    ]  # fmt: skip
    assert files.sockets == {4711}
    assert files.complete


def test_a_source_elsewhere_is_looked_at_and_nothing_else(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk can lie on a server that hangs: whoever asks for its status hangs, too."""
    for name in ("disk", "source"):
        (tmp_path / name).symlink_to("/dev/urandom")
    proc.add(7, QEMU, fd3=str(tmp_path / "disk"), fd4=str(tmp_path / "source"))
    looked_at = []
    real = process.device_number
    monkeypatch.setattr(process, "device_number", lambda path: looked_at.append(path) or real(path))
    files = process.open_files(7, [str(tmp_path / "source")])
    assert [Path(path).name for path in looked_at] == ["4"]
    assert [device.number for device in files.devices] == [URANDOM]


def test_a_device_whose_name_is_gone(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.add(7, QEMU, fd3="/dev/hwrng (deleted)")
    monkeypatch.setattr(process, "device_number", lambda path: (10, 183))
    assert process.open_files(7).devices == (process.OpenDevice((10, 183), "/dev/hwrng"),)


def test_more_descriptors_than_are_looked_at(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_DESCRIPTORS", 3)
    proc.add(7, QEMU, **{f"fd{number}": "/dev/urandom" for number in range(3)})
    proc.add(8, QEMU, **{f"fd{number}": "/dev/urandom" for number in range(4)})
    assert process.open_files(7).complete
    files = process.open_files(8)
    assert not files.complete
    assert len(files.devices) == 3


def test_without_the_right_to_see_descriptors(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.add(7, QEMU, "-uuid", UUID)
    refuse(monkeypatch, "scandir", "/fd")
    with pytest.raises(process.NotAllowedError, match="only root may see what process 7 has open"):
        process.open_files(7)


def test_of_a_process_that_has_ended(proc: Proc) -> None:
    assert proc.root.is_dir()
    with pytest.raises(process.NoProcessError, match="process 7 has ended"):
        process.open_files(7)
    assert issubclass(process.NoProcessError, GuestError)


@pytest.mark.parametrize("path", ["/dev", "/dev/not-there", "/etc/passwd", "bad\0path"])
def test_what_is_no_device_has_no_number(path: str) -> None:
    assert process.device_number(path) is None


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1E61 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:A80C 0100007F:1E61 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0
   2: 0100007F:A80E 0100007F:1E62 06 00000000:00000000 00:00000000 00000000     0        0 3 1 0
   broken
"""


@pytest.mark.parametrize(
    ("sockets", "host", "port", "connected"),
    [
        ({2}, "127.0.0.1", 7777, True),
        ({2}, "localhost", 7777, True),  # a name: whatever it means to QEMU
        ({2}, "127.0.0.2", 7777, False),
        ({2}, "127.0.0.1", 7778, False),
        ({1}, "127.0.0.1", 7777, False),  # it listens
        ({3}, "127.0.0.1", 7778, False),  # it was closed
        (set(), "127.0.0.1", 7777, False),
    ],
)
def test_tcp_connections(proc: Proc, sockets: set[int], host: str, port: int, connected: bool) -> None:
    (proc.add(7, QEMU) / "net").mkdir()
    (proc.root / "7/net/tcp").write_text(TCP)
    assert process.connected_tcp(7, frozenset(sockets), host, port) is connected


def test_tcp_connections_that_cannot_be_read(proc: Proc) -> None:
    proc.add(7, QEMU)
    assert process.connected_tcp(7, frozenset({2}), "127.0.0.1", 7777) is None


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_real_tcp_connection(family: int) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no such addresses")
    with server, socket.create_connection(server.getsockname()[:2]) as client:
        inodes = frozenset({os.fstat(client.fileno()).st_ino})
        port = server.getsockname()[1]
        assert process.connected_tcp(os.getpid(), inodes, address, port) is True
        assert process.connected_tcp(os.getpid(), inodes, address, port ^ 1) is False


@pytest.fixture
def unix_sockets() -> None:
    try:
        process.unix_sockets()
    except OSError as error:
        pytest.skip(f"this kernel does not tell: {error}")


@pytest.mark.usefixtures("unix_sockets")
def test_real_unix_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # bound by a relative name
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("egd.sock")
        server.listen()
        inodes = frozenset({os.fstat(client.fileno()).st_ino})
        path = str(tmp_path / "egd.sock")
        (tmp_path / "link").symlink_to(path)
        (tmp_path / "file").touch()
        assert process.connected_unix(os.getpid(), inodes, path) is False
        client.connect(path)
        assert process.connected_unix(os.getpid(), inodes, path) is False  # nobody has accepted it
        with server.accept()[0]:
            assert process.connected_unix(os.getpid(), inodes, path) is True
            assert process.connected_unix(os.getpid(), inodes, str(tmp_path / "link")) is True
            assert process.connected_unix(os.getpid(), inodes, str(tmp_path / "file")) is False
            (tmp_path / "egd.sock").unlink()
            assert process.connected_unix(os.getpid(), inodes, path) is None


def test_unix_connections_of_another_network_namespace(proc: Proc) -> None:
    for name in ("7", "self"):
        (proc.root / name / "ns").mkdir(parents=True)
        (proc.root / name / "ns/net").touch()
    assert process.connected_unix(7, frozenset(), "/run/egd.sock") is None


def test_a_kernel_that_does_not_know_unix_diag(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*dummy: object) -> object:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(process.socket, "socket", missing)
    assert process.connected_unix(os.getpid(), frozenset(), "/") is None
