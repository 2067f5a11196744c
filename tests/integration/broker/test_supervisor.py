# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that crashes, hangs and comes back, and its connections, under the supervisor of these tests."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.broker.kept import kept_program
from integration.broker.supervisor import Supervisor
from lab.process import PATIENCE, wait_for


def connect(path: str | Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(path))
    return client


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "kept.sock")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_text(kept_program())
    path.chmod(0o755)
    return path


@pytest.fixture
def kept(program: Path, address: str) -> Iterator[Supervisor]:
    with Supervisor([program], {"KEPT": address}) as supervisor:
        yield supervisor
        assert supervisor.faults == []
        assert supervisor.errors == ""


def says(kept: Supervisor, status: str) -> None:
    wait_for(status, lambda: kept.status == status)


def test_kill_9_loses_nothing_that_a_socket_can_keep(kept: Supervisor, address: str) -> None:
    with connect(address) as first, connect(address) as second:
        first.sendall(b"before")
        says(kept, "2 connections, 0 from before")
        old = kept.pid
        with kept.down():
            second.sendall(b"meanwhile")
            third = connect(address)  # the listener is kept, too
            third.sendall(b"new")
        assert kept.pid != old
        says(kept, "3 connections, 2 from before")
        kept.kill(signal.SIGUSR1)
        by = f" answered by {kept.pid} on {address}"
        with third:
            found = [one.recv(1000).decode() for one in (first, second, third)]
        assert found == ["before" + by, "meanwhile" + by, "new" + by]
        assert kept.exit_codes == [-signal.SIGKILL]
        kept.crash()
        says(kept, "2 connections, 2 from before")


def test_what_hangs_up_is_dropped(kept: Supervisor, address: str) -> None:
    with connect(address):
        says(kept, "1 connections, 0 from before")
        assert len(kept.store) == 2
    wait_for("the hang-up", lambda: kept.store == ["listener"])


def test_a_hung_program_is_replaced(program: Path, address: str) -> None:
    with Supervisor([program], {"KEPT": address}, watchdog=4.0) as kept, connect(address) as client:
        client.sendall(b"x")
        wait_for("some signs of life", lambda: kept.signs > 2)
        assert kept.exit_codes == []
        kept.kill(signal.SIGSTOP)
        kept.wait_ready(2)
        assert kept.exit_codes == [-signal.SIGABRT]
        says(kept, "1 connections, 1 from before")
        kept.kill(signal.SIGUSR1)
        assert client.recv(1000).startswith(b"x answered by")


def test_sockets_of_units_come_first(program: Path, address: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        with Supervisor([program], {}, sockets={"gold": listener}) as kept, connect(address):
            says(kept, "1 connections, 0 from before")
            kept.crash()
            says(kept, "1 connections, 1 from before")


def test_a_full_store_takes_no_more(program: Path, address: str) -> None:
    with Supervisor([program], {"KEPT": address}, most=2) as kept, connect(address), connect(address):
        says(kept, "2 connections, 0 from before")
        wait_for("the refusal", lambda: kept.refused == 1)
        assert len(kept.store) == 2


def test_only_the_main_process_is_heard(kept: Supervisor) -> None:
    (line,) = [
        entry
        for entry in Path(f"/proc/{kept.pid}/environ").read_text().split("\0")
        if entry.startswith("NOTIFY_SOCKET=")
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.connect(line.partition("=")[2])
        other.send(b"STATUS=mine")
        before = kept.starts
        kept.crash()  # what was sent before has been read by then
        assert kept.starts == before + 1
    says(kept, "0 connections, 0 from before")


def test_the_end(program: Path, address: str) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Supervisor([program], {"KEPT": address}) as kept, connect(address) as client:
        says(kept, "1 connections, 0 from before")
        kept.stop()
        assert kept.exit_codes == [-signal.SIGTERM]
        assert client.recv(1) == b""  # nobody holds the other end
        assert kept.store == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
