# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of QEMU that draws, while its broker becomes another program, crashes, or is not there at all.

QEMU connects again when it has lost its connection, but does not repeat a request that was open: the driver in the
guest then waits for good. So what counts is that the connection is the same, and that the guest's reader goes on.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.broker.running import Broker, Drawing, connections, take, upgrade
from integration.broker.supervisor import Supervisor
from lab.errors import LabError
from lab.process import wait_for

MISSING = [{"source": "/dev/fleet-rng-is-not-there"}]
KERNEL = [{"source": "getrandom"}]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Broker:
    return Broker(tmp_path_factory.mktemp("broker"), "gold", when_failing="wait")


@pytest.fixture(scope="module")
def supervisor(broker: Broker) -> Iterator[Supervisor]:
    with broker.supervised(watchdog=60) as made:
        yield made
    assert made.faults == []


@pytest.fixture(scope="module")
def booted(broker: Broker, supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawing]:
    assert supervisor.ready
    with Drawing(tmp_path_factory.mktemp("guest"), "fleet-kept", broker.socket("gold")) as made:
        yield made


@pytest.fixture
def guest(broker: Broker, booted: Drawing) -> Iterator[Drawing]:
    """It reads, and keeps its one connection, whatever the test does."""
    booted.read_on()
    booted.goes_on()
    before = connections(broker.socket("gold"))
    assert len(before) == 1
    yield booted
    booted.goes_on()
    assert connections(broker.socket("gold")) == before
    assert not booted.died()


@pytest.fixture
def limited(broker: Broker, guest: Drawing) -> Iterator[Drawing]:
    """It may have less than it asks for: so nearly always a request of it waits."""
    broker.limit(gold={"rate": 4096, "ceil": 4096, "burst": 255})
    yield guest
    broker.limit()


def counted(broker: Broker) -> tuple[int, int]:
    """What the broker knows of its guest: a new connection would begin at 0."""
    (one,) = broker.status()["guests"]
    return one["bytes"], one["requests"]


def test_a_hundred_upgrades(broker: Broker, supervisor: Supervisor, limited: Drawing) -> None:
    pid, before = supervisor.pid, broker.status()["restarts"]
    last = counted(broker)
    for dummy in range(100):
        upgrade(broker, supervisor)
        limited.goes_on()
        now = counted(broker)
        assert now > last
        last = now
    assert (supervisor.pid, broker.status()["restarts"]) == (pid, before + 100)
    drawn = limited.drawn  # before the broker is asked, as the guest goes on
    assert counted(broker)[0] >= drawn
    assert '"level": "error"' not in supervisor.errors


def test_upgrades_under_load(broker: Broker, supervisor: Supervisor, guest: Drawing) -> None:
    pid = supervisor.pid
    for dummy in range(5):
        upgrade(broker, supervisor)
        guest.goes_on()
    assert supervisor.pid == pid


def test_crashes(supervisor: Supervisor, limited: Drawing) -> None:
    ended = len(supervisor.exit_codes)
    wait_for("the connection to be stored", lambda: len(supervisor.store) == 3)
    for dummy in range(5):
        supervisor.crash()
        limited.goes_on()
    assert supervisor.exit_codes[ended:] == [-signal.SIGKILL] * 5
    assert len(supervisor.store) == 3


def test_a_request_that_waits_outlives_crashes(broker: Broker, supervisor: Supervisor, guest: Drawing) -> None:
    wait_for("the connection to be stored", lambda: len(supervisor.store) == 3)
    broker.configure(sources=MISSING)
    broker.reload()
    wait_for("the guest to wait", lambda: broker.one("gold")["waiting"] == 1)
    drawn = guest.at_rest()
    for dummy in range(3):
        supervisor.crash()
        wait_for("its request to be seen", lambda: broker.one("gold")["waiting"] == 1)
    upgrade(broker, supervisor)
    assert broker.one("gold")["waiting"] == 1
    assert guest.drawn == drawn
    broker.configure(sources=KERNEL)
    with supervisor.down():
        pass  # the new one begins with a source
    guest.goes_on()


def is_removed(guest: Drawing, connection: str) -> bool:
    """QEMU may still be about to forget who had it."""
    try:
        guest.ask("chardev-remove", id=connection)
    except LabError as error:
        if "is busy" not in str(error):
            raise
        return False
    return True


def replace_rng(guest: Drawing, address: Path) -> None:
    """Give the guest another RNG for the one that it has, with a connection of its own."""
    guest.ask("device_del", id="vrng0")
    wait_for("the guest to let its RNG go", lambda: guest.rngs == [])
    guest.ask("object-del", id="rng0")
    wait_for("QEMU to let its connection go", lambda: is_removed(guest, "egd0"))
    server = {"type": "unix", "data": {"path": str(address)}}
    backend = {"type": "socket", "data": {"addr": server, "server": False, "reconnect": 1}}
    guest.ask("chardev-add", id="egd1", backend=backend)
    guest.ask("object-add", **{"qom-type": "rng-egd", "id": "rng1", "chardev": "egd1"})
    guest.ask("device_add", driver="virtio-rng-pci", id="vrng1", rng="rng1")
    wait_for("the guest to use it", lambda: guest.rng_current().startswith("virtio_rng"))


def test_without_a_store_a_guest_waits_for_good(tmp_path: Path) -> None:
    """What a guest sees whose broker was not there, or crashed, and had nobody to keep its connections."""
    broker = Broker(tmp_path, "gold")
    broker.run.mkdir()
    plain = broker.settings["classes"]
    address = broker.socket("gold")

    def is_forgotten(guest: Drawing) -> None:
        """It is connected, the broker serves everybody, and yet nothing comes, as nothing is asked for."""
        wait_for("QEMU to connect", lambda: len(connections(address)) == 1)
        drawn = guest.at_rest()
        with broker.connect("gold") as other:
            for dummy in range(100):
                assert take(other)
        guest.read("/proc/uptime")
        (told,) = [one for one in broker.status()["guests"] if one["guest"] == guest.name]
        assert (told["requests"], told["waiting"], guest.drawn) == (0, None, drawn)

    with Drawing(tmp_path, "fleet-lost", address) as guest:  # it asked while nobody was there
        guest.read_on()
        with broker.alone(tmp_path / "log") as process:
            try:
                is_forgotten(guest)
                guest.rest()
                replace_rng(guest, address)
                guest.read_on()
                guest.goes_on()
                before = connections(address)
                broker.limit(gold={"rate": 1, "ceil": 1})
                wait_for("a request that waits", lambda: broker.one("gold")["waiting"] == 1)
            finally:
                process.kill()
        broker.configure(classes=plain)
        with broker.alone(tmp_path / "log") as process:
            try:
                is_forgotten(guest)
                assert not connections(address) & before
            finally:
                process.kill()
