# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of libvirt that moves live from one hypervisor's broker to the other's, with requests of it under way.

What it asked for moves with it as part of its device, not of its connection: QEMU asks the other broker again. That is
unlike a connection that is lost, after which nobody asks again.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle
from integration.broker.running import MODULE_UTILS, SIZE
from integration.plan.test_migration import move
from integration.role.conftest import Fleet
from lab import Guest, GuestSpec, Host, HostSpec, Lab, LabSpec
from lab.process import PATIENCE, wait_for

HOME, AWAY = "bm1", "bm2"
SPEC = LabSpec((HostSpec(HOME, guests=(GuestSpec("mover", groups=("gold",)),)), HostSpec(AWAY)))
INVENTORY: dict[str, Any] = {
    "hypervisors": {"vars": {"virtio_rng_migration_groups": ["hypervisors"]}},
    "gold": {"vars": {"virtio_rng_source": "broker", "virtio_rng_max_bytes": "unlimited"}},
}
PROGRAM, CONTROL, CONFIG = "/usr/local/sbin/virtrngd", "/usr/local/sbin/virtrngctl", "/etc/virtrngd.json"
SOCKET = "/run/virtrngd/gold.sock"
KERNEL = ({"source": "getrandom"},)
MISSING = [{"source": "/dev/fleet-rng-is-not-there"}]
READER = f"exec dd if=/dev/hwrng of=/dev/null bs={SIZE}"
# A client beside the guest: it returns when so many requests of its own were answered.
TAKE = f"""
import socket
client = socket.socket(socket.AF_UNIX)
client.connect({SOCKET!r})
for dummy in range(100):
    client.sendall(bytes([2, {SIZE}]))
    if len(client.recv({SIZE}, socket.MSG_WAITALL)) != {SIZE}:
        raise SystemExit("the connection was closed")
"""


class Broker:
    """The broker of one hypervisor, without systemd."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._process: subprocess.Popen[bytes] | None = None
        host.write(PROGRAM, bundle(MODULE_UTILS, "broker.main", "virtrngd", "0"))
        host.check("chmod", "755", PROGRAM)
        host.check("ln", "-sf", PROGRAM, CONTROL)

    def configure(self, name: str = "gold", sources: Sequence[dict[str, str]] = KERNEL) -> None:
        """Give it one class and a source; known to one that runs when this returns."""
        config = {"classes": [{"name": name}], "sources": sources, "when_failing": "wait"}
        self.host.write(CONFIG, json.dumps(config))
        if self._process:
            self.host.check(CONTROL, "reload")

    def start(self) -> None:
        command = self.host.command(PROGRAM, "--config", CONFIG)
        with (self.host.directory / "virtrngd.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

        def answers() -> bool:
            assert self._process
            assert self._process.poll() is None, log.name
            return self.host.run(CONTROL, "status").returncode == 0

        wait_for(f"the broker of {self.host.name}", answers)

    def stop(self) -> None:
        """End it, also where it was never started."""
        if self._process:
            self.host.check("kill", str(self.status()["pid"]))
            self._process.wait(PATIENCE)
            self._process = None

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.host.check(CONTROL, "status", "--json"))
        return found

    @property
    def guests(self) -> dict[str, str]:
        """The classes of the guests that are connected."""
        return {one["guest"]: one["class"] for one in self.status()["guests"]}

    def guest(self) -> dict[str, Any]:
        """What it knows of the only guest."""
        (one,) = self.status()["guests"]
        assert (one["guest"], one["class"]) == ("mover", "gold")
        return dict(one)


class Mover(Guest):
    """The guest, wherever it is, and a reader in it that reads as a guest asks: 64 bytes after the other."""

    def __init__(self, lab: Lab) -> None:
        guest = lab.guest("mover")
        super().__init__(guest.host, guest.spec)
        self.lab = lab
        self._reader = 0

    def move(self, there: str) -> None:
        """Live, while its reader reads."""
        move(self.lab, self.host.name, there)
        self.host = self.lab.host(there)

    def read_on(self) -> None:
        self._reader = self.launch(READER)

    def rest(self) -> None:
        """End the reader, also where it waits for bytes."""
        self.agent("guest-exec", path="/bin/kill", arg=["-9", str(self._reader)])
        wait_for("the end of the reader", lambda: self.agent("guest-exec-status", pid=self._reader)["exited"])

    @property
    def drawn(self) -> int:
        """Bytes that its reader has got and passed on, by the guest's own count."""
        lines = self.read(f"/proc/{self._reader}/io").splitlines()
        return int(next(line for line in lines if line.startswith("wchar:")).split()[1])

    def goes_on(self) -> None:
        """Return when its reader has got more than what may have been under way."""
        enough = self.drawn + 4 * SIZE
        wait_for("bytes for the guest", lambda: self.drawn >= enough)


@pytest.fixture(scope="module")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


@pytest.fixture(scope="module")
def both(lab: Lab) -> Iterator[tuple[Broker, Broker]]:
    """Those of the guest's own hypervisor and of the other; they run."""
    made = Broker(lab.host(HOME)), Broker(lab.host(AWAY))
    try:
        for broker in made:
            broker.configure()
            broker.start()
        yield made
    finally:
        for broker in made:
            broker.stop()


@pytest.fixture
def brokers(both: tuple[Broker, Broker]) -> Iterator[tuple[Broker, Broker]]:
    """Each test begins with a class and a source on both."""
    yield both
    for broker in both:
        broker.configure()


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(lab, tmp_path_factory.mktemp("fleet"))


def enable(fleet: Fleet, code: int = 0) -> str:
    """Converge; what the run said, on one line."""
    return " ".join(fleet.play("fleet.rng.enable_rng", code=code, inventory=INVENTORY).split())


@pytest.fixture(scope="module")
def attached(both: tuple[Broker, Broker], fleet: Fleet) -> Iterator[Mover]:
    """The guest, with its broker for its RNG by the playbook."""
    assert both
    enable(fleet)
    mover = Mover(fleet.lab)
    wait_for("the guest to use it", lambda: mover.rng_current().startswith("virtio_rng"))
    yield mover
    # Before the brokers end, or it waits for what it has asked for, in a lab that stays up also in the next run.
    mover.host.virsh("detach-device-alias", "mover", "ua-fleet-rng", "--live", "--config")
    wait_for("the guest to let it go", lambda: "<rng" not in mover.host.virsh("dumpxml", "mover"))


@pytest.fixture
def mover(brokers: tuple[Broker, Broker], attached: Mover) -> Iterator[Mover]:
    """It reads at home, and is there again afterwards."""
    home, away = brokers
    attached.read_on()
    attached.goes_on()
    yield attached
    for broker in brokers:
        broker.configure()
    if attached.host.name != HOME:
        attached.move(HOME)
    attached.goes_on()
    attached.rest()
    assert home.guests == {"mover": "gold"}
    wait_for("the other broker to lose it", lambda: away.guests == {})


def assert_forgotten(broker: Broker, mover: Mover) -> None:
    """The broker serves everybody, and yet nothing comes."""
    drawn = mover.drawn
    broker.host.check("/usr/bin/python3", "-c", TAKE)
    mover.read("/proc/uptime")
    assert mover.drawn == drawn


def test_a_guest_is_refused_a_class_that_the_other_broker_lacks(brokers: tuple[Broker, Broker], fleet: Fleet) -> None:
    home, away = brokers
    before = home.host.virsh("dumpxml", "mover")
    away.configure("silver")
    assert (
        "guest mover may move to bm2 (virtio_rng_migration_groups: hypervisors), where source "
        f"egd+unix:{SOCKET} is no class of the broker there; "
    ) in enable(fleet, code=2)
    assert home.host.virsh("dumpxml", "mover") == before


def test_a_guest_that_reads_moves_from_broker_to_broker(brokers: tuple[Broker, Broker], mover: Mover) -> None:
    home, away = brokers
    drawn = mover.drawn
    assert home.guest()["bytes"] >= drawn
    assert away.guests == {}
    mover.move(AWAY)
    mover.goes_on()
    assert away.guest()["bytes"] >= 4 * SIZE
    wait_for("its broker to lose it", lambda: home.guests == {})
    mover.move(HOME)
    mover.goes_on()
    assert home.guest()["bytes"] >= 4 * SIZE
    wait_for("the other broker to lose it", lambda: away.guests == {})


def test_a_request_that_waits_is_answered_by_the_other_broker(brokers: tuple[Broker, Broker], mover: Mover) -> None:
    home, away = brokers
    home.configure(sources=MISSING)
    wait_for("the guest to wait", lambda: home.guest()["waiting"] is not None)
    drawn = mover.drawn
    mover.move(AWAY)
    mover.goes_on()
    assert mover.drawn > drawn
    assert away.guest()["requests"] > 0


def test_a_guest_that_has_lost_its_broker_goes_on_elsewhere(brokers: tuple[Broker, Broker], mover: Mover) -> None:
    """Without a store for its connection it would wait for good."""
    home, away = brokers
    home.configure(sources=MISSING)
    wait_for("the guest to wait", lambda: home.guest()["waiting"] is not None)
    home.stop()
    home.configure()
    home.start()
    assert_forgotten(home, mover)
    mover.move(AWAY)
    mover.goes_on()
    assert away.guest()["requests"] > 0


def test_where_no_broker_is_a_guest_waits_until_it_moves_on(brokers: tuple[Broker, Broker], mover: Mover) -> None:
    """Which is what the plan prevents."""
    away = brokers[1]
    away.stop()
    try:
        mover.move(AWAY)
    finally:
        away.start()
    wait_for("QEMU to connect", lambda: away.guests == {"mover": "gold"})
    assert_forgotten(away, mover)
    assert (away.guest()["requests"], away.guest()["waiting"]) == (0, None)
    mover.move(HOME)
    mover.goes_on()
