# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_broker where systemd runs: its unit, held against a real systemd, and connections that outlive it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.role.conftest import Fleet
from integration.watch.systemd import PORT, Systemd
from lab import Lab
from lab.process import wait_for

PLAYBOOK = "fleet.rng.broker_rng"
UNIT = "virtrngd.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
OPTIONS = ("-e", f"ansible_port={PORT}")
SOCKET = "/run/virtrngd/gold.sock"
HARDWARE = json.dumps({"rng_broker_sources": [{"source": "/dev/hwrng"}, {"source": "getrandom"}]})
INVENTORY: dict[str, Any] = {
    "hypervisors": {"hosts": {"booted": None}},
    "guests": {"children": {"gold": None, "silver": None}},
    "gold": {"hosts": {"web1": None}, "vars": {"rng_broker_rate": 65536}},
    "silver": {"hosts": {"web2": None}, "vars": {"rng_broker_rate": 1024}},
}
# As QEMU would: one request at a time on one connection, for ever; a dot for each answer, an end for a lost connection.
CLIENT = f"""
import socket
client = socket.socket(socket.AF_UNIX)
client.connect({SOCKET!r})
with open("/run/answers", "w") as answers:
    while True:
        client.sendall(bytes([2, 64]))
        missing = 64
        while missing:
            got = client.recv(missing)
            if not got:
                answers.write("lost")
                raise SystemExit(1)
            missing -= len(got)
        answers.write(".")
        answers.flush()
"""


class Broker(Fleet):
    """The host as an operator sees it."""

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run the playbook; what it said, on one line."""
        return " ".join(self.play(PLAYBOOK, *OPTIONS, *arguments, code=code, inventory=INVENTORY).split())


@pytest.fixture
def broker(lab: Lab, systemd: Systemd, tmp_path: Path) -> Broker:
    """A host without a broker."""
    del systemd  # has to run
    broker = Broker(lab, tmp_path)
    broker.run("-e", "rng_broker_state=absent", "-e", "rng_broker_disconnect=true")
    return broker


@pytest.fixture
def confined(systemd: Systemd) -> Iterator[str]:
    """A host that looks like one where AppArmor confines guests; where the role says what they may do more."""
    systemd.check("mkdir", "-p", "/etc/apparmor.d/abstractions/libvirt-qemu.d", "/etc/udev/rules.d")
    yield "/etc/apparmor.d/local/abstractions/libvirt-qemu"
    systemd.check("rm", "-rf", "/etc/apparmor.d/abstractions/libvirt-qemu", "/etc/apparmor.d/local/abstractions")


@pytest.fixture
def client(systemd: Systemd) -> Iterator[str]:
    """Start it with ``start_client``; it is gone afterwards. Its pid file."""
    yield "/run/client.pid"
    systemd.run("sh", "-c", "kill $(cat /run/client.pid); rm -f /run/client.* /run/answers")


def start_client(systemd: Systemd) -> None:
    systemd.check("sh", "-c", f"cat >/run/client.py <<'END'\n{CLIENT}\nEND")
    systemd.check("sh", "-c", "python3 /run/client.py </dev/null >/run/client.log 2>&1 & echo $! >/run/client.pid")
    wait_for("the first answers", lambda: answers(systemd) > 0)


def answers(systemd: Systemd) -> int:
    """How many requests were answered so far; fails for a connection that was lost."""
    text = systemd.run("cat", "/run/answers").stdout
    assert "lost" not in text
    return len(text)


def goes_on(systemd: Systemd) -> None:
    """Return once the client got more, on the connection that it has."""
    before = answers(systemd)
    wait_for("more answers", lambda: answers(systemd) > before)


def status(systemd: Systemd) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(systemd.check("virtrngctl", "status", "--json"))
    return found


def test_it_runs_now_and_at_every_boot(broker: Broker, systemd: Systemd) -> None:
    shown = broker.run("--check")
    assert systemd.run("ls", UNIT_FILE, "/etc/virtrngd", "/usr/local/sbin/virtrngd").stdout == ""
    assert "failed=0" in shown
    assert "virtrngd 0.1.0 serves the classes default, gold, silver; 0 connections." in broker.run()
    assert systemd.properties(UNIT, "ActiveState", "UnitFileState", "User") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "User": "virtrngd",
    }
    for again in ((), ("--check",)):
        assert "changed=0" in broker.run(*again)


def test_systemd_finds_nothing_wrong_with_the_unit(broker: Broker, systemd: Systemd) -> None:
    broker.run("-e", HARDWARE)  # the most that it is ever allowed
    done = systemd.run("systemd-analyze", "verify", UNIT_FILE)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "'FileDescriptorStorePreserve'" not in line]
    assert (done.returncode, said) == (0, [])
    systemd.check("systemd-analyze", "security", "--no-pager", "--threshold=20", UNIT)  # of 100: the worst


def test_it_reads_a_device_that_was_roots(broker: Broker, systemd: Systemd) -> None:
    broker.run("-e", HARDWARE)
    assert systemd.check("stat", "-c", "%G %a", "/dev/hwrng").strip() == "virtrngd 640"
    wait_for("the source", lambda: status(systemd)["sources"][0]["state"] == "serving")
    assert "changed=0" in broker.run("-e", HARDWARE)


def test_it_joins_the_group_that_a_device_was_given_to(broker: Broker, systemd: Systemd) -> None:
    systemd.check("chgrp", "kvm", "/dev/hwrng")
    systemd.check("chmod", "640", "/dev/hwrng")
    try:
        broker.run("-e", HARDWARE, "-e", "rng_broker_socket_group=")
        assert systemd.check("stat", "-c", "%G %a", "/dev/hwrng").strip() == "kvm 640"
        assert systemd.properties(UNIT, "SupplementaryGroups") == {"SupplementaryGroups": "kvm"}
        wait_for("the source", lambda: status(systemd)["sources"][0]["state"] == "serving")
    finally:
        systemd.check("chgrp", "root", "/dev/hwrng")
        systemd.check("chmod", "600", "/dev/hwrng")


def test_a_connection_outlives_restarts_reloads_and_crashes(broker: Broker, systemd: Systemd, client: str) -> None:
    del client
    broker.run()
    start_client(systemd)
    first = status(systemd)["pid"]
    systemd.check("systemctl", "reload", UNIT)
    goes_on(systemd)
    after = status(systemd)
    assert (after["pid"], after["restarts"], after["clients"]) == (first, 1, 1)
    systemd.check("systemctl", "restart", UNIT)
    goes_on(systemd)
    second = status(systemd)
    assert second["pid"] != first
    systemd.check("kill", "-9", str(second["pid"]))
    goes_on(systemd)
    third = status(systemd)
    assert third["pid"] != second["pid"]
    assert third["clients"] == 1


def test_another_rate_is_loaded_and_another_unit_started(broker: Broker, systemd: Systemd, client: str) -> None:
    del client
    broker.run()
    start_client(systemd)
    pid = status(systemd)["pid"]
    broker.run("-e", json.dumps({"rng_broker_classes": {"gold": {"rate": 4096}}}))
    found = status(systemd)
    assert (found["pid"], {one["name"]: one["rate"] for one in found["classes"]}["gold"]) == (pid, 4096)
    goes_on(systemd)
    broker.run("-e", "rng_broker_clients=5000")  # which the unit has to know, too
    assert status(systemd)["pid"] != pid
    goes_on(systemd)


def test_another_program_takes_the_place_of_the_running_one(broker: Broker, systemd: Systemd, client: str) -> None:
    del client
    broker.run()
    start_client(systemd)
    pid = status(systemd)["pid"]
    systemd.check("sh", "-c", "echo '# by hand' >>/usr/local/sbin/virtrngd")
    assert "changed=2" in broker.run()  # the program, and who runs it
    found = status(systemd)
    assert (found["pid"], found["restarts"], found["clients"]) == (pid, 1, 1)
    goes_on(systemd)


def test_it_is_not_removed_while_somebody_is_connected(broker: Broker, systemd: Systemd, client: str) -> None:
    del client
    broker.run()
    start_client(systemd)
    for how in ((), ("--check",)):
        shown = broker.run("-e", "rng_broker_state=absent", *how, code=2)
        assert "1 guests are connected to the broker: pid " in shown
    goes_on(systemd)
    broker.run("-e", "rng_broker_state=absent", "-e", "rng_broker_disconnect=true")
    left = ("/usr/local/sbin/virtrngd", "/usr/local/sbin/virtrngctl", "/etc/virtrngd", "/run/virtrngd", UNIT_FILE)
    assert systemd.run("ls", *left).stdout == ""
    assert systemd.run("getent", "passwd", "virtrngd").stdout == ""
    assert "changed=0" in broker.run("-e", "rng_broker_state=absent")


def test_where_apparmor_confines_guests_they_may_connect(broker: Broker, systemd: Systemd, confined: str) -> None:
    looks = json.dumps({"__rng_broker_host": {"mechanism": "udev", "apparmor": True, "selinux": True}})
    options = ("-e", looks, "-e", HARDWARE)
    libvirts, own = "/etc/apparmor.d/abstractions/libvirt-qemu", "/etc/apparmor.d/abstractions/libvirt-qemu.d/virtrngd"
    rules = "/run/virtrngd/{,guests/}*.sock rw,\naudit deny /run/virtrngd/control.sock rw,\n"
    assert "libvirt includes no rules of this host" in broker.run(*options)
    systemd.check("sh", "-c", f"echo '  #include <local/abstractions/libvirt-qemu>' >{libvirts}")
    systemd.check("sh", "-c", f"mkdir -p {confined.rpartition('/')[0]} && echo '# by hand' >{confined}")
    shown = broker.run(*options)
    assert "booted: guests that run are let through by AppArmor from their next start on" in shown
    assert "booted: SELinux confines guests, and nothing here lets them connect" in shown
    marked = f"# by hand\n# BEGIN virtrngd of fleet.rng\n{rules}# END virtrngd of fleet.rng\n"
    assert systemd.check("cat", confined) == marked
    assert systemd.check("cat", "/etc/udev/rules.d/89-virtrngd.rules").splitlines()[-1].startswith("ENV{DEVNAME}==")
    assert "changed=0" in broker.run(*options)
    systemd.check("sh", "-c", f"echo '  include if exists <abstractions/libvirt-qemu.d>' >{libvirts}")
    broker.run(*options)
    assert systemd.check("cat", own) == rules
    broker.run("-e", "rng_broker_state=absent")
    assert systemd.check("cat", confined) == "# by hand\n"
    assert systemd.run("ls", own, "/etc/udev/rules.d/89-virtrngd.rules").stdout == ""


def test_what_the_daemon_said_is_told_when_it_does_not_start(broker: Broker, systemd: Systemd) -> None:
    broker.run()
    # A directory where a socket should be
    systemd.check("systemctl", "stop", UNIT)
    systemd.check("sh", "-c", "rm -rf /run/virtrngd/gold.sock && mkdir -p /run/virtrngd/gold.sock/in/the/way")
    try:
        shown = broker.run("-e", "rng_broker_timeout=3", code=2)
    finally:
        systemd.check("rm", "-rf", "/run/virtrngd/gold.sock")
    assert "The broker does not serve all classes: " in shown, shown
    assert "/run/virtrngd/gold.sock: " in shown, shown
    assert "It said: " in shown, shown
