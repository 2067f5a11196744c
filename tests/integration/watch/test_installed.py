# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch as the role installs it with cron, and what it writes, beside what libvirt_rng_info says."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from integration.role.conftest import Fleet
from integration.watch.watched import (
    ALL,
    CRON,
    DAEMON,
    DIRECTORY,
    HOME,
    METRICS,
    PLAYBOOK,
    PROGRAM,
    cron_entry,
    observe,
    of_guests,
    only,
    run_as_cron,
    samples,
    there,
)
from lab import Host, Lab

HV1 = ("--limit", "hv1")
RNG = "<rng model='virtio'><rate bytes='512' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
BUDGET = 2048


@pytest.fixture
def fleet(lab: Lab, tmp_path: Path) -> Fleet:
    """Two machines without a watch; on one of them, a guest that waits for a restart."""
    for host in lab.hosts.values():
        host.check("rm", "-rf", *ALL, "/var/lib/prometheus")
        host.check("install", "/bin/true", DAEMON)
    waiting = lab.guest("waits")
    if "<rng" not in waiting.host.virsh("dumpxml", "--inactive", "--domain", waiting.uuid):
        waiting.host.write("/root/rng.xml", RNG)
        waiting.host.virsh("attach-device", "--domain", waiting.uuid, "--file", "/root/rng.xml", "--config")
    return Fleet(lab, tmp_path)


@pytest.fixture
def hv1(lab: Lab) -> Host:
    return lab.host("hv1")


def test_installing_is_idempotent_and_check_mode_tells_the_truth(fleet: Fleet, hv1: Host) -> None:
    assert "changed=4" in fleet.play(PLAYBOOK, *HV1, "--check")  # two directories, the program, the entry
    assert there(hv1, *ALL) == []
    assert "changed=4" in fleet.play(PLAYBOOK, *HV1)
    assert there(hv1, *ALL) == list(ALL)  # it ran once
    assert samples(hv1.check("cat", METRICS))["hypervisor_observed",] == 1
    hv1.check("rm", METRICS)
    for again in ((), ("--check",)):
        assert "changed=0" in fleet.play(PLAYBOOK, *HV1, *again)
    assert there(hv1, METRICS) == []  # and not again
    assert hv1.check("stat", "-c", "%U %a", HOME, PROGRAM, CRON, DIRECTORY).splitlines() == [
        "root 755",
        "root 755",
        "root 644",
        "root 755",
    ]


def test_a_new_interval_changes_the_entry_and_nothing_else(fleet: Fleet, hv1: Host) -> None:
    fleet.play(PLAYBOOK, *HV1)
    (minutes, *rest), user, dummy = cron_entry(hv1)
    assert (minutes.split("-")[1], rest, user) == ("59/5", ["*", "*", "*", "*"], "root")
    shown = fleet.play(PLAYBOOK, *HV1, "--diff", "-e", "rng_report_watch_interval=3600")
    assert "changed=1" in shown
    assert f"-{minutes} * * * *" in shown
    (minutes, *rest), user, dummy = cron_entry(hv1)
    assert 0 <= int(minutes) < 60
    assert rest == ["*", "*", "*", "*"]


def test_the_metrics_are_what_the_module_observes(fleet: Fleet, hv1: Host) -> None:
    fleet.play(PLAYBOOK, *HV1, "-e", f"virtio_rng_host_budget={BUDGET}")
    written = run_as_cron(hv1)
    observed = observe(fleet, "hv1", "libvirt")
    guests = observed["guests"]
    assert len(guests) == 4
    assert only(written, "guest_running", "guest_attached") == of_guests(observed)
    assert set(only(written, "guest_attached").values()) == {0, 1}
    by_name = {guest["name"]: guest["uuid"] for guest in guests}
    assert {key[1]: value for key, value in written.items() if key[0] == "guest_needs_restart"} == {
        uuid: float(name == "waits") for name, uuid in by_name.items()
    }
    assert written["guest_max_bytes_per_second", by_name["limited"]] == 1024
    assert written["guest_max_bytes_per_second", by_name["runs"]] == 4096
    assert written["host_budget_bytes_per_second",] == BUDGET
    assert written["host_promised_bytes_per_second",] == 4096  # of what runs
    host = observed["host"]
    assert {key[1:]: value for key, value in written.items() if key[0] == "findings"} == {
        (finding["id"], finding["severity"]): 1 for finding in host["findings"]
    }
    assert ("RNG003", "warning") in {key[1:] for key in written if key[0] == "findings"}
    assert written["host_crng_ready",] == float(host["crng_ready"])
    assert written["hypervisor_observed",] == 1
    assert written["hypervisor_kinds",] == 1
    assert ("hypervisor_info", "libvirt", host["hypervisor"]["version"], host["kernel"]["release"]) in written


def test_it_runs_without_root_where_the_directory_is_not_roots(fleet: Fleet, hv1: Host) -> None:
    hv1.check("install", "-d", "-o", "nobody", DIRECTORY)
    assert "changed=3" in fleet.play(PLAYBOOK, *HV1)  # the directory stays as it was
    assert cron_entry(hv1)[1] == "nobody"
    assert hv1.check("stat", "-c", "%U %a", METRICS).split() == ["nobody", "644"]
    written = run_as_cron(hv1)
    assert written["hypervisor_observed",] == 1
    assert len([key for key in written if key[0] == "guest_running"]) == 4
    assert hv1.check("stat", "-c", "%U %a", METRICS).split() == ["nobody", "644"]


def test_a_guest_is_called_what_it_likes(fleet: Fleet, hv1: Host, lab: Lab) -> None:
    domain = ET.fromstring(lab.domain_xml(lab.guest("without")))
    name, uuid = domain.find("name"), domain.find("uuid")
    assert name is not None
    assert uuid is not None
    name.text, uuid.text = '"} 1 <script>\\', "2a5cbb5e-2b5c-4f0a-9d4b-000000000001"
    hv1.define(ET.tostring(domain, encoding="unicode"))
    try:
        fleet.play(PLAYBOOK, *HV1)
        assert run_as_cron(hv1)["guest_attached", uuid.text, "config"] == 0
        (shown,) = [line for line in hv1.check("cat", METRICS).splitlines() if uuid.text in line and "running" in line]
        assert 'guest="\\"} 1 <script>\\\\"' in shown
    finally:
        hv1.virsh("undefine", "--domain", uuid.text)


def test_a_machine_without_libvirt(fleet: Fleet, lab: Lab) -> None:
    machine = lab.host("machine1")
    limit = ("--limit", "machine1", "-e", "rng_hypervisors=all")
    fleet.play(PLAYBOOK, *limit, "-e", "rng_report_watch_hypervisor=none")
    assert run_as_cron(machine)["hypervisor_observed",] == 1
    shown = fleet.play(PLAYBOOK, *limit, "-e", "virtio_rng_hypervisor=libvirt")
    assert "fleet-rng-watch: cannot open qemu:///system for reading: " in shown
    assert run_as_cron(machine)["hypervisor_observed",] == 0
    done = machine.run("/usr/bin/python3", "-I", PROGRAM, "--directory", DIRECTORY, "--hypervisor", "libvirt")
    assert done.returncode == 1
    assert done.stderr.startswith("fleet-rng-watch: cannot open qemu:///system for reading: ")
    assert done.stderr.count("\n") == 1


def test_a_daemon_that_hangs_does_not_hang_it(fleet: Fleet, hv1: Host) -> None:
    fleet.play(PLAYBOOK, *HV1)
    daemon = hv1.check("cat", "/run/libvirtd.pid").strip()
    hv1.check("kill", "-STOP", daemon)
    try:
        done = hv1.run("/usr/bin/python3", "-I", PROGRAM, "--directory", DIRECTORY, "--timeout", "10")
    finally:
        hv1.check("kill", "-CONT", daemon)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "seconds while observing the guests" in done.stderr
    written = samples(hv1.check("cat", METRICS))
    assert written["hypervisor_observed",] == 0
    assert ("host_crng_ready",) in written


def test_absent_removes_everything_once(fleet: Fleet, hv1: Host) -> None:
    fleet.play(PLAYBOOK, *HV1)
    run_as_cron(hv1)
    gone = ("-e", "rng_report_watch=absent")
    fleet.play(PLAYBOOK, *HV1, *gone, "--check")
    assert there(hv1, *ALL) == list(ALL)
    fleet.play(PLAYBOOK, *HV1, *gone)
    assert there(hv1, *ALL) == []
    assert there(hv1, DIRECTORY) == [DIRECTORY]  # it may be anybody's
    assert "changed=0" in fleet.play(PLAYBOOK, *HV1, *gone)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"rng_report_watch_interval": 420}, "cannot be said to cron"),
        ({"rng_report_watch_interval": 10}, "out of its bounds"),
        ({"rng_report_watch_name": "hv1; reboot"}, "out of its bounds"),
        ({"rng_report_watch_name": "hv1\n"}, "out of its bounds"),
        ({"rng_report_watch_dir": "/srv/$(reboot)"}, "out of its bounds"),
        ({"rng_report_watch_user": "no-such-user"}, "no-such-user"),
        ({"rng_report_watch": "maybe"}, "maybe"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(setting: dict[str, Any], why: str, fleet: Fleet, hv1: Host) -> None:
    shown = fleet.play(PLAYBOOK, *HV1, "-e", json.dumps(setting), code=2)
    assert why in " ".join(shown.split())
    assert there(hv1, CRON) == []


def test_a_host_without_systemd_and_cron_is_told_so(fleet: Fleet, hv1: Host) -> None:
    hv1.check("mv", "/etc/cron.d", "/etc/cron.away")
    try:
        assert "there is no directory /etc/cron.d" in " ".join(fleet.play(PLAYBOOK, *HV1, code=2).split())
    finally:
        hv1.check("mv", "/etc/cron.away", "/etc/cron.d")


def test_a_directory_of_entries_that_nothing_reads_is_no_cron(fleet: Fleet, hv1: Host) -> None:
    hv1.check("rm", DAEMON)
    for busybox in (False, True):
        if busybox:
            hv1.check("install", "/bin/true", "/root/busybox")
            hv1.check("ln", "-s", "/root/busybox", DAEMON)
        assert "a program cron or crond is missing" in " ".join(fleet.play(PLAYBOOK, *HV1, code=2).split())
        assert there(hv1, CRON, METRICS) == []
    hv1.check("rm", DAEMON)


def test_a_program_that_cannot_write_fails_the_play(fleet: Fleet, hv1: Host) -> None:
    hv1.check("install", "-d", DIRECTORY)
    shown = fleet.play(PLAYBOOK, *HV1, "-e", "rng_report_watch_user=nobody", code=2)
    assert "Run the program once" in shown
    assert "fleet-rng-watch: " in shown


def test_a_node_that_is_only_reached_over_its_api_is_left_out(fleet: Fleet, hv1: Host) -> None:
    shown = fleet.play(PLAYBOOK, *HV1, "-e", "virtio_rng_proxmox_api_host=pve1.example.com")
    assert "No watch here" in shown
    assert there(hv1, *ALL) == []
