# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real systemd keeps of a service that crashes: its listener, its connections, and the requests in them."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import pytest
from integration.broker.kept import kept_program
from integration.watch.systemd import Systemd, booted
from lab import HostSpec, Lab, LabSpec
from lab.packages import install
from lab.process import PATIENCE, say, wait_for

SPEC = LabSpec((HostSpec("booted", kind="none"),))

PROGRAM, ADDRESS, HOLD = "/usr/local/sbin/kept", "/run/kept.sock", "/run/kept.hold"
UNIT = "kept.service"
UNIT_FILE = f"""\
[Service]
Type=notify
ExecStartPre=/bin/sh -c 'while [ -e {HOLD} ]; do sleep 0.05; done'
ExecStart={PROGRAM}
Environment=KEPT={ADDRESS}
FileDescriptorStoreMax={{most}}
Restart=on-failure
RestartSec=100ms
WatchdogSec={{watchdog}}
StartLimitIntervalSec=0
"""


class Kept:
    """The service."""

    def __init__(self, systemd: Systemd) -> None:
        self.systemd = systemd

    def shows(self, name: str) -> str:
        return self.systemd.properties(UNIT, name)[name]

    @property
    def pid(self) -> int:
        """As systemd counts."""
        return int(self.shows("MainPID"))

    def kill(self, number: int) -> None:
        """Without systemd's help: it does not know of this before the process has ended."""
        self.systemd.check("kill", f"-{number}", str(self.pid))

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """kill -9, and no other process before the end of the block."""
        self.systemd.check("touch", HOLD)
        self.kill(signal.SIGKILL)
        wait_for("the crash", lambda: self.pid == 0)
        yield
        self.systemd.check("rm", HOLD)

    def says(self, status: str) -> None:
        wait_for(status, lambda: self.shows("StatusText") == status)

    def stores(self, number: int) -> None:
        wait_for(f"{number} stored descriptors", lambda: self.shows("NFileDescriptorStore") == str(number))

    def connect(self) -> socket.socket:
        """From outside: a path through systemd's own root leads to the same socket."""
        first = self.systemd.process()
        assert first
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(f"/proc/{first.pid}/root{ADDRESS}")
        return client


@pytest.fixture(scope="module")
def systemd(boot_lab: Callable[[LabSpec], Lab]) -> Iterator[Systemd]:
    install(["systemd"], say)
    with booted(boot_lab(SPEC).host("booted")) as systemd:
        yield systemd


@pytest.fixture
def start(systemd: Systemd) -> Iterator[Callable[..., Kept]]:
    def begin(watchdog: float = 0, most: int = 100) -> Kept:
        systemd.host.write(PROGRAM, kept_program())
        systemd.check("chmod", "755", PROGRAM)
        unit = UNIT_FILE.format(watchdog=watchdog, most=most)
        systemd.host.write(f"/etc/systemd/system/{UNIT}", unit)
        systemd.check("systemctl", "daemon-reload")
        systemd.check("systemctl", "start", UNIT)
        return Kept(systemd)

    yield begin
    systemd.run("systemctl", "stop", UNIT)
    systemd.run("systemctl", "reset-failed", UNIT)
    systemd.check("rm", "-f", PROGRAM, ADDRESS, HOLD, f"/etc/systemd/system/{UNIT}")
    systemd.check("systemctl", "daemon-reload")


def test_kill_9_loses_no_connection_and_no_request(start: Callable[..., Kept]) -> None:
    kept = start()
    with kept.connect() as first, kept.connect() as second:
        first.sendall(b"before")
        kept.says("2 connections, 0 from before")
        kept.stores(3)
        old = kept.pid
        with kept.down():
            second.sendall(b"meanwhile")
            third = kept.connect()  # the listener is kept, too
            third.sendall(b"new")
        kept.says("3 connections, 2 from before")
        assert kept.pid not in (0, old)
        assert kept.shows("NRestarts") == "1"
        kept.stores(4)
        kept.kill(signal.SIGUSR1)
        by = f" answered by {kept.pid} on {ADDRESS}"
        with third:
            found = [one.recv(1000).decode() for one in (first, second, third)]
    assert found == ["before" + by, "meanwhile" + by, "new" + by]
    kept.stores(1)  # systemd saw them leave


def test_without_a_store_connections_are_lost(start: Callable[..., Kept]) -> None:
    """So it is the store that keeps them."""
    kept = start(most=0)
    with kept.connect() as client:
        kept.says("1 connections, 0 from before")
        kept.kill(signal.SIGKILL)
        assert client.recv(1) == b""


def test_a_hung_service_is_replaced(start: Callable[..., Kept]) -> None:
    """By systemd's watchdog, which the program is to calm for as long as it works."""
    kept = start(watchdog=10)
    with kept.connect() as client:
        client.sendall(b"before")
        kept.says("1 connections, 0 from before")
        kept.stores(2)
        kept.kill(signal.SIGSTOP)
        kept.says("1 connections, 1 from before")
        kept.kill(signal.SIGUSR1)
        assert client.recv(1000).startswith(b"before answered by")
        assert kept.shows("NRestarts") == "1"


def test_a_restart_keeps_connections(start: Callable[..., Kept]) -> None:
    kept = start()
    with kept.connect() as client:
        client.sendall(b"before")
        kept.says("1 connections, 0 from before")
        kept.systemd.check("systemctl", "restart", UNIT)
        kept.says("1 connections, 1 from before")
        kept.kill(signal.SIGUSR1)
        assert client.recv(1000).startswith(b"before answered by")


def test_a_stopped_service_leaves_nobody_waiting(start: Callable[..., Kept]) -> None:
    """And so a client learns that it has to connect again."""
    kept = start()
    with kept.connect() as client:
        kept.says("1 connections, 0 from before")
        kept.systemd.check("systemctl", "stop", UNIT)
        assert client.recv(1) == b""
