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
PROGRAMS = ("/usr/local/sbin/virtrngd", "/usr/local/sbin/virtrngctl")
CONFIG, RUN = "/etc/virtrngd", "/run/virtrngd"
SOCKET = f"{RUN}/gold.sock"
ACCOUNTS = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")
KEPT = "/root/broker.tar"  # what the playbook has made
# What the role does to remove it, and faster; some of it may not be there.
CLEAN = f"""
systemctl disable --now {UNIT}
systemctl clean --what=fdstore {UNIT}
systemctl reset-failed {UNIT}
rm -rf {" ".join(PROGRAMS)} {CONFIG} {RUN} {UNIT_FILE}
systemctl daemon-reload
userdel virtrngd
chgrp root /dev/hwrng && chmod 600 /dev/hwrng
"""
HARDWARE = json.dumps({"rng_broker_sources": [{"source": "/dev/hwrng"}, {"source": "getrandom"}]})
INVENTORY: dict[str, Any] = {
    "hypervisors": {"hosts": {"booted": None}},
    "guests": {"children": {"gold": None, "silver": None}},
    # With a ceiling, so that nearly always a request waits, and a client does not take all of a processor.
    "gold": {"hosts": {"web1": None}, "vars": {"rng_broker_rate": 8192, "rng_broker_ceil": 8192}},
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
    systemd.run("sh", "-c", CLEAN)
    return Broker(lab, tmp_path)


@pytest.fixture
def running(broker: Broker, systemd: Systemd) -> Broker:
    """A host where the playbook has run: the first time it does, and later all is put back as it was then."""
    if systemd.run("test", "-e", KEPT).returncode:
        broker.run()
        systemd.check("tar", "-cPf", KEPT, *PROGRAMS, CONFIG, UNIT_FILE, *ACCOUNTS)
    else:
        systemd.check("tar", "-xPpf", KEPT)
        systemd.check("systemctl", "daemon-reload")
        systemd.check("systemctl", "enable", "--now", UNIT)
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
    end = "pid=$(cat /run/client.pid); kill $pid; while kill -0 $pid; do sleep 0.05; done"
    systemd.run("sh", "-c", f"{end}; rm -f /run/client.* /run/answers")


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


def successor(systemd: Systemd, pid: int) -> dict[str, Any]:
    """What the broker says that is started in the place of a process. Nobody answers before that."""
    found: dict[str, Any] = {}

    def answers() -> bool:
        found.update(json.loads(systemd.run("virtrngctl", "status", "--json").stdout or "{}"))
        return found.get("pid", pid) != pid

    wait_for("the next broker", answers)
    return found


def test_it_runs_now_and_at_every_boot(broker: Broker, systemd: Systemd) -> None:
    """With a device that was root's, so that it is allowed all that it ever may be."""
    options = ("-e", HARDWARE)
    shown = broker.run("--check", *options)
    assert systemd.run("ls", UNIT_FILE, CONFIG, PROGRAMS[0]).stdout == ""
    assert "failed=0" in shown
    assert "virtrngd 0.1.0 serves the classes default, gold, silver; 0 connections." in broker.run(*options)
    assert systemd.properties(UNIT, "ActiveState", "UnitFileState", "User") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "User": "virtrngd",
    }
    assert systemd.check("stat", "-c", "%G %a", "/dev/hwrng").strip() == "virtrngd 640"
    wait_for("the source", lambda: status(systemd)["sources"][0]["state"] == "serving")
    assert "changed=0" in broker.run("--check", *options)
    # systemd finds nothing wrong with the unit
    done = systemd.run("systemd-analyze", "verify", UNIT_FILE)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "'FileDescriptorStorePreserve'" not in line]
    assert (done.returncode, said) == (0, [])
    systemd.check("systemd-analyze", "security", "--no-pager", "--threshold=20", UNIT)  # of 100: the worst


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


def test_a_connection_outlives_restarts_reloads_and_crashes(running: Broker, systemd: Systemd, client: str) -> None:
    del running, client
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
    assert successor(systemd, second["pid"])["clients"] == 1
    goes_on(systemd)


def test_another_rate_is_loaded_and_another_unit_started(running: Broker, systemd: Systemd, client: str) -> None:
    del client
    start_client(systemd)
    pid = status(systemd)["pid"]
    running.run("-e", json.dumps({"rng_broker_classes": {"gold": {"rate": 4096}}}))
    found = status(systemd)
    assert (found["pid"], {one["name"]: one["rate"] for one in found["classes"]}["gold"]) == (pid, 4096)
    goes_on(systemd)
    running.run("-e", "rng_broker_clients=5000")  # which the unit has to know, too
    assert status(systemd)["pid"] != pid
    goes_on(systemd)


def test_another_program_takes_the_place_of_the_running_one(running: Broker, systemd: Systemd, client: str) -> None:
    del client
    start_client(systemd)
    pid = status(systemd)["pid"]
    systemd.check("sh", "-c", "echo '# by hand' >>/usr/local/sbin/virtrngd")
    assert "changed=2" in running.run()  # the program, and who runs it
    found = status(systemd)
    assert (found["pid"], found["restarts"], found["clients"]) == (pid, 1, 1)
    goes_on(systemd)


def test_it_is_not_removed_while_somebody_is_connected(running: Broker, systemd: Systemd, client: str) -> None:
    del client
    start_client(systemd)
    for how in ((), ("--check",)):
        shown = running.run("-e", "rng_broker_state=absent", *how, code=2)
        assert "1 guests are connected to the broker: pid " in shown
    goes_on(systemd)
    running.run("-e", "rng_broker_state=absent", "-e", "rng_broker_disconnect=true")
    assert systemd.run("ls", *PROGRAMS, CONFIG, RUN, UNIT_FILE).stdout == ""
    assert systemd.run("getent", "passwd", "virtrngd").stdout == ""
    assert "changed=0" in running.run("-e", "rng_broker_state=absent")


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


def test_what_the_daemon_said_is_told_when_it_does_not_start(running: Broker, systemd: Systemd) -> None:
    # A directory where a socket should be
    systemd.check("systemctl", "stop", UNIT)
    systemd.check("sh", "-c", f"rm -rf {SOCKET} && mkdir -p {SOCKET}/in/the/way")
    try:
        shown = running.run("-e", "rng_broker_timeout=3", code=2)
    finally:
        systemd.check("rm", "-rf", SOCKET)
    assert "The broker does not serve all classes: " in shown, shown
    assert f"{SOCKET}: " in shown, shown
    assert "It said: " in shown, shown
