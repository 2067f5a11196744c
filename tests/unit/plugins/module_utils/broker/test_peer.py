# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end: real connections of real processes, and QEMU's spellings of a name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import peer
from ansible_collections.fleet.rng.plugins.module_utils.broker.peer import Peer, guest_of, label, peer_of

QEMU = "/usr/bin/qemu-system-x86_64"
UUID = "8F5D6D4C-1F0B-4B2E-9E9F-0123456789AB"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-name web1", "web1"),
        ("--name web1", "web1"),
        ("-name guest=web1,debug-threads=on", "web1"),
        ("-name debug-threads=on,guest=web1", "web1"),
        ("-name web1,process=qemu-web1", "web1"),
        ("-name web1,debug-threads=on,process=kvm", "web1"),
        ("-name guest=a,,b,debug-threads=on", "a,b"),
        ("-name a,,guest=b", "a,guest=b"),
        ("-name a,,,guest=b", "b"),
        ("-name guest=a=b", "a=b"),
        ("-name guest=", ""),
        ("-name debug-threads=on", ""),
        (f"-name debug-threads=on -uuid {UUID}", UUID.lower()),
        (f"-uuid {UUID} -name web1", "web1"),
        (f"-S -uuid {UUID} -m 512", UUID.lower()),
        ("-name web1 -name debug-threads=on", "web1"),
        ("-name old -name guest=new", "new"),
        ("-name -x", "-x"),
        ("-nographic -name", ""),
        ("-m 512 -drive file=-name,if=virtio", ""),
        ("", ""),
    ],
)
def test_names(words: str, expected: str) -> None:
    assert guest_of([QEMU, *words.split()]) == expected


def test_no_words_at_all() -> None:
    assert guest_of([]) == ""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc with the process 7."""
    monkeypatch.setattr(peer, "PROC", str(tmp_path))
    (tmp_path / "7").mkdir()
    return tmp_path / "7" / "cmdline"


def test_a_hostile_name_is_printable_and_cut(proc: Path) -> None:
    proc.write_bytes(b"qemu\0-name\0\x1b[2J\xff" + b"x" * 200 + b"\0")
    shown = label(7)
    assert shown.startswith("\\x1b[2J\\udcffxx")
    assert shown.endswith("...")
    assert len(shown) == peer.LABEL_LIMIT


@pytest.mark.parametrize(
    "text",
    [b"", b"qemu\0", b"qemu\0-name\0", b"\0" * 70000, b"qemu\0-append\0" + b"x" * 65536 + b"\0-name\0late\0"],
    ids=["empty", "alone", "unfinished", "nothing", "late"],
)
def test_a_process_without_a_name(proc: Path, text: bytes) -> None:
    proc.write_bytes(text)
    assert label(7) == "pid 7"


def test_a_name_that_was_cut_in_two_is_not_shown(proc: Path) -> None:
    proc.write_bytes(b"qemu\0-append\0" + b"x" * (65536 - 13 - 1 - 6 - 3) + b"\0-name\0web1234\0")
    assert label(7) == "pid 7"


def test_no_link_is_followed_and_nothing_is_waited_for(proc: Path) -> None:
    elsewhere = proc.with_name("elsewhere")
    elsewhere.write_bytes(b"qemu\0-name\0web1\0")
    proc.symlink_to(elsewhere)
    assert label(7) == "pid 7"
    proc.unlink()
    os.mkfifo(proc)
    assert label(7) == "pid 7"
    proc.unlink()
    proc.mkdir()
    assert label(7) == "pid 7"


@pytest.mark.usefixtures("proc")
def test_a_process_that_is_gone() -> None:
    assert label(8) == "pid 8"


CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()"


def test_a_real_process_on_a_real_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with subprocess.Popen(
            [sys.executable, "-c", CONNECT, path, "-name", "guest=web1,debug-threads=on"], stdin=subprocess.PIPE
        ) as child:
            connection = listener.accept()[0]
            with connection:
                assert peer_of(connection) == Peer("web1", child.pid, os.getuid(), os.getgid())
                assert peer_of(connection, "web2\n") == Peer("web2\\x0a", child.pid, os.getuid(), os.getgid())
            child.communicate(timeout=30)


@pytest.mark.parametrize(("guest", "expected"), [(None, "127.0.0.1:{}"), ("web1", "web1")])
def test_tcp_tells_no_process(guest: str | None, expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        connection = listener.accept()[0]
        with connection:
            assert peer_of(connection, guest) == Peer(expected.format(client.getsockname()[1]))
