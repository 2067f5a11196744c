# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch where systemd runs: the role's units, and what a real systemd makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.role.conftest import Fleet
from integration.watch.systemd import PORT, Systemd, booted
from lab import Lab
from lab.process import wait_for
from prometheus_client.parser import text_string_to_metric_families

DIRECTORY = "/var/lib/prometheus/node-exporter"
METRICS = f"{DIRECTORY}/fleet-rng.prom"
SERVICE, TIMER = "fleet-rng-watch.service", "fleet-rng-watch.timer"
UNITS = tuple(f"/etc/systemd/system/{unit}" for unit in (SERVICE, TIMER))
HOME = "/usr/local/lib/fleet-rng"
CRON = "/etc/cron.d/fleet-rng-watch"
GUESTS = "/tmp/guests"  # noqa: S108  of a host that nobody else is on
NEXT = "NextElapseUSecMonotonic"
PLAYBOOK = "fleet.rng.watch_rng"
OPTIONS = ("--limit", "booted", "-e", f"ansible_port={PORT}")


@pytest.fixture(scope="module")
def systemd(lab: Lab) -> Iterator[Systemd]:
    with booted(lab.host("booted")) as systemd:
        yield systemd


@pytest.fixture
def fleet(lab: Lab, systemd: Systemd, tmp_path: Path) -> Fleet:
    """A host without a watch."""
    systemd.run("systemctl", "disable", "--now", TIMER)  # fails where it is not there
    systemd.run("systemctl", "stop", SERVICE)  # it would write once more
    systemd.check("rm", "-rf", *UNITS, CRON, HOME, "/var/lib/prometheus")
    systemd.check("systemctl", "daemon-reload")
    systemd.run("systemctl", "reset-failed", SERVICE)
    return Fleet(lab, tmp_path)


def values(systemd: Systemd) -> dict[str, float]:
    """The first sample of each metric, once the file is there."""
    wait_for("the metrics", lambda: systemd.run("test", "-e", METRICS).returncode == 0)
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(systemd.check("cat", METRICS)):
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix("fleet_rng_"), sample.value)
    return found


def failure(systemd: Systemd) -> tuple[str, ...]:
    """How the service is, and how its program ended; and how the timer is."""
    service = systemd.properties(SERVICE, "ActiveState", "ExecMainStatus")
    return service["ActiveState"], service["ExecMainStatus"], systemd.properties(TIMER, "SubState")["SubState"]


def test_the_timer_runs_it_now_and_again(fleet: Fleet, systemd: Systemd) -> None:
    shown = fleet.play(PLAYBOOK, *OPTIONS, "--check")
    assert "changed=5" in shown  # two directories, the program, two units
    assert systemd.run("ls", *UNITS).returncode != 0
    assert "changed=6" in fleet.play(PLAYBOOK, *OPTIONS)  # and the timer is started
    systemd.check("test", "-e", METRICS)
    found = values(systemd)
    assert found["hypervisor_observed"] == 1
    assert found["guest_attached"] == 1
    assert systemd.properties(TIMER, "ActiveState", "UnitFileState") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }
    # Unknown while the service runs
    wait_for("the next time", lambda: systemd.properties(TIMER, NEXT)[NEXT] not in ("", "infinity"))
    for again in ((), ("--check",)):
        assert "changed=0" in fleet.play(PLAYBOOK, *OPTIONS, *again)
    # systemd finds nothing wrong with the units
    done = systemd.run("systemd-analyze", "verify", *UNITS)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    systemd.check("systemd-analyze", "security", "--no-pager", "--threshold=20", SERVICE)  # of 100: the worst


def test_a_new_interval_reaches_the_timer_and_absent_removes_it(fleet: Fleet, systemd: Systemd) -> None:
    fleet.play(PLAYBOOK, *OPTIONS)
    shown = fleet.play(PLAYBOOK, *OPTIONS, "-e", "rng_report_watch_interval=900", "--diff")
    assert "+OnUnitActiveSec=900s" in shown
    assert "OnUnitActiveUSec=15min" in systemd.check("systemctl", "show", TIMER, "--property=TimersMonotonic")
    values(systemd)
    gone = ("-e", "rng_report_watch=absent")
    fleet.play(PLAYBOOK, *OPTIONS, *gone, "--check")
    assert systemd.properties(TIMER, "ActiveState") == {"ActiveState": "active"}
    fleet.play(PLAYBOOK, *OPTIONS, *gone)
    assert systemd.properties(TIMER, "ActiveState", "LoadState") == {
        "ActiveState": "inactive",
        "LoadState": "not-found",
    }
    assert systemd.run("ls", *UNITS, METRICS, HOME).stdout == ""
    assert "changed=0" in fleet.play(PLAYBOOK, *OPTIONS, *gone)


def test_a_failed_look_fails_the_unit_and_the_timer_goes_on(fleet: Fleet, systemd: Systemd) -> None:
    shown = fleet.play(PLAYBOOK, *OPTIONS, "-e", "rng_report_watch_uri=test:///nowhere")
    assert "The metrics of the host are written; its guests were not seen." in shown
    assert values(systemd)["hypervisor_observed"] == 0
    # The timer may just have started it again.
    wait_for("the unit's failure", lambda: failure(systemd) == ("failed", "1", "waiting"))
    systemd.check("journalctl", "--sync")
    said = systemd.check("journalctl", "--unit", SERVICE, "--identifier", "python3", "--output", "cat")
    assert "fleet-rng-watch: cannot open test:///nowhere for reading: " in said


def test_a_program_that_cannot_write_fails_the_play(fleet: Fleet, systemd: Systemd) -> None:
    systemd.check("install", "-d", DIRECTORY)
    shown = fleet.play(PLAYBOOK, *OPTIONS, "-e", "rng_report_watch_user=nobody", code=2)
    assert "fleet-rng-watch.service failed (ExecMainStatus=3)" in " ".join(shown.split())


def test_it_runs_without_root_where_the_directory_is_not_roots(fleet: Fleet, systemd: Systemd) -> None:
    systemd.check("install", "-d", "-o", "nobody", DIRECTORY)
    fleet.play(PLAYBOOK, *OPTIONS)
    assert values(systemd)["hypervisor_observed"] == 1
    assert systemd.check("stat", "-c", "%U", METRICS).strip() == "nobody"
    assert systemd.properties(SERVICE, "User") == {"User": "nobody"}


def test_what_only_root_sees_is_seen_from_inside_the_unit(fleet: Fleet, systemd: Systemd) -> None:
    """A QEMU of another user, with a socket where the unit of libvirt's hosts cannot look."""
    home = f"{GUESTS}/its own"
    systemd.check("install", "-d", "-o", "nobody", "-m", "700", GUESTS, home)
    systemd.check("install", "-d", "-o", "nobody", DIRECTORY)
    words = "qemu-system-x86_64 -name one -M q35,accel=tcg -m 16 -S -nodefaults -display none"
    words += f" -pidfile {GUESTS}/pid -qmp unix:socket,server=on,wait=off </dev/null >log 2>&1 &"
    systemd.check("setpriv", "--reuid=nobody", "--clear-groups", "sh", "-c", f"cd '{home}' && {words}")
    wait_for("its monitor", lambda: systemd.run("test", "-S", f"{home}/socket").returncode == 0)
    try:
        fleet.play(PLAYBOOK, *OPTIONS, "-e", "virtio_rng_hypervisor=qemu")
        assert systemd.properties(SERVICE, "User", "Result") == {"User": "root", "Result": "success"}
        found = values(systemd)
        assert (found["hypervisor_observed"], found["guest_running"], found["guest_attached"]) == (1, 1, 0)
        done = systemd.run("systemd-analyze", "verify", *UNITS)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
    finally:
        systemd.check("sh", "-c", f"kill $(cat {GUESTS}/pid)")
        systemd.check("rm", "-rf", GUESTS)


def test_cron_gives_way_to_systemd(fleet: Fleet, systemd: Systemd) -> None:
    systemd.check("install", "/bin/true", "/usr/sbin/cron")
    fleet.play(PLAYBOOK, *OPTIONS, "-e", "rng_report_watch_scheduler=cron")
    systemd.check("test", "-e", CRON)
    fleet.play(PLAYBOOK, *OPTIONS)
    assert systemd.run("test", "-e", CRON).returncode != 0
