# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch on hosts that libvirt does not run, beside what their own modules say. Ganeti's is with its other tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.role.conftest import Fleet
from integration.watch.watched import ALL, DAEMON, PLAYBOOK, cron_entry, observe, of_guests, only, run_as_cron
from lab import Host, Lab

STAND_IN = Path(__file__).parents[2] / "stand_ins" / "proxmox"
MANAGERS = ("/usr/sbin/libvirtd", "/usr/sbin/virtqemud", "/usr/sbin/gnt-instance")
AWAY = "/root/managers"
LIMIT = ("--limit", "machine1", "-e", "rng_hypervisors=all")
BUDGET = ("-e", "virtio_rng_host_budget=8192")

RNG_CONFIG = """\
[object "rng0"]
  qom-type = "rng-random"
  filename = "/dev/urandom"
[device "vrng0"]
  driver = "virtio-rng-pci"
  rng = "rng0"
  max-bytes = "1024"
  period = "1000"
"""
RNG_WORDS = (
    *("-object", "rng-random,id=rng1,filename=/dev/urandom"),
    *("-device", "virtio-rng-pci,id=vrng1,rng=rng1,max-bytes=4096,period=1000"),
)
QEMU = {"odd name; true": ("", RNG_WORDS), "both": (RNG_CONFIG, ()), "none": ("", ())}
OFF = "off"

PVE = "/srv/pve"  # the stand-in's place
PVE_GUESTS = {
    101: ("name: web1\nrng0: /dev/urandom,max_bytes=1024,period=1000\n", True),
    102: ("name: waits\n\n[PENDING]\nrng0: /dev/urandom\n", True),
    103: ("name: without\n", False),
    104: ("name: golden\ntemplate: 1\n", False),
}


@pytest.fixture
def machine(lab: Lab) -> Iterator[Host]:
    """A machine without a watch, where nothing is installed that runs guests."""
    machine = lab.host("machine1")
    machine.check("rm", "-rf", *ALL, "/var/lib/prometheus")
    machine.check("install", "/bin/true", DAEMON)
    machine.check("mkdir", "-p", AWAY)
    for program in MANAGERS:
        if machine.run("test", "-e", program).returncode == 0:
            machine.check("mv", program, AWAY)
    yield machine
    for program in MANAGERS:
        name = program.rpartition("/")[2]
        if machine.run("test", "-e", f"{AWAY}/{name}").returncode == 0:
            machine.check("mv", f"{AWAY}/{name}", program)


@pytest.fixture
def fleet(lab: Lab, tmp_path: Path) -> Fleet:
    return Fleet(lab, tmp_path)


@pytest.fixture
def qemus(machine: Host) -> Iterator[dict[str, str]]:
    """Guests of plain QEMU that stand still before their firmware; and one that is off, with its configuration."""
    configs = {name: f"/etc/qemu/{number}.cfg" for number, name in enumerate([*QEMU, OFF])}
    machine.check("mkdir", "-p", "/etc/qemu", "/run/guests")
    machine.write(configs[OFF], RNG_CONFIG)
    for name, (config, words) in QEMU.items():
        machine.write(configs[name], config)
        base = f"/run/guests/{configs[name].rpartition('/')[2]}"
        machine.check(
            *("qemu-system-x86_64", "-name", f"guest={name}", "-M", "q35,accel=tcg", "-m", "16", "-S", "-daemonize"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-pidfile", f"{base}.pid"),
            *("-qmp", f"unix:{base}.qmp,server=on,wait=off", *words, "-readconfig", configs[name]),
        )
    yield {OFF: configs[OFF]}
    machine.check("sh", "-c", "kill $(cat /run/guests/*.pid)")
    machine.check("rm", "-rf", "/run/guests", "/etc/qemu")


@pytest.fixture
def node(machine: Host) -> Iterator[Host]:
    """A node of Proxmox VE, as the stand-in plays it."""
    machine.check("mkdir", "-p", "/etc/pve/qemu-server", f"{PVE}/run/qemu-server", f"{PVE}/etc")
    machine.check("ln", "-s", "/etc/pve", f"{PVE}/etc/pve")
    for file in STAND_IN.iterdir():
        if file.is_file():
            machine.write(f"{PVE}/{file.name}", file.read_text())
    program = f'#!/bin/sh\nPVE_STAND_IN={PVE} exec python3 {PVE}/pvesh.py "$@"\n'
    machine.write("/usr/local/bin/pvesh", program)
    machine.check("chmod", "755", "/usr/local/bin/pvesh")
    for vmid, (text, running) in PVE_GUESTS.items():
        uuid = f"smbios1: uuid=1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7{vmid}\n"
        machine.write(f"/etc/pve/qemu-server/{vmid}.conf", uuid + text)
        if running:
            machine.write(f"{PVE}/run/qemu-server/{vmid}.pid", "1")
    yield machine
    machine.check("rm", "-rf", "/etc/pve", PVE, "/usr/local/bin/pvesh")


def test_plain_qemu(fleet: Fleet, machine: Host, qemus: dict[str, str]) -> None:
    known = ("-e", json.dumps({"virtio_rng_qemu_configs": qemus}))
    assert "changed=5" in fleet.play(PLAYBOOK, *LIMIT, *known, *BUDGET)  # one more: where the guests are
    assert "changed=0" in fleet.play(PLAYBOOK, *LIMIT, *known, *BUDGET)
    assert cron_entry(machine)[1] == "root"
    written = run_as_cron(machine)
    observed = observe(fleet, "machine1", "qemu", configs=qemus)
    assert {guest["name"] for guest in observed["guests"]} == {*QEMU, OFF}
    assert only(written, "guest_running", "guest_attached") == of_guests(observed)
    by_name = {guest["name"]: guest["uuid"] for guest in observed["guests"]}
    assert only(written, "guest_max_bytes_per_second") == {
        ("guest_max_bytes_per_second", by_name["odd name; true"]): 4096,
        ("guest_max_bytes_per_second", by_name["both"]): 1024,
        ("guest_max_bytes_per_second", by_name[OFF]): 1024,
    }
    assert written["host_promised_bytes_per_second",] == 4096 + 1024
    assert (written["hypervisor_observed",], written["hypervisor_kinds",]) == (1, 1)
    assert [key[1] for key in written if key[0] == "hypervisor_info"] == ["qemu"]
    assert "changed=2" in fleet.play(PLAYBOOK, *LIMIT, *BUDGET)  # it is no longer told, so its command is another one
    assert ("guest_running", by_name[OFF]) not in run_as_cron(machine)


def test_a_node_of_proxmox_ve(fleet: Fleet, node: Host) -> None:
    node.check("install", "-d", "-o", "nobody", "/var/lib/prometheus/node-exporter")
    fleet.play(PLAYBOOK, *LIMIT)
    assert cron_entry(node)[1] == "root"  # whoever owns the directory: only root is told anything
    written = run_as_cron(node)
    observed = observe(fleet, "machine1", "proxmox")
    assert [guest["name"] for guest in observed["guests"]] == ["golden", "waits", "web1", "without"]
    observed["guests"] = [guest for guest in observed["guests"] if "template" not in guest["blocked"]]
    assert only(written, "guest_running", "guest_attached") == of_guests(observed)
    by_name = {guest["name"]: guest["uuid"] for guest in observed["guests"]}
    assert {key[1]: value for key, value in only(written, "guest_needs_restart").items()} == {
        uuid: float(name == "waits") for name, uuid in by_name.items()
    }
    assert written["guest_max_bytes_per_second", by_name["web1"]] == 1024
    assert [key[1] for key in written if key[0] == "hypervisor_info"] == ["proxmox"]


def test_a_host_that_is_no_clear_case(fleet: Fleet, node: Host) -> None:
    node.check("mkdir", "-p", "/var/lib/ganeti")
    node.check("touch", "/var/lib/ganeti/ssconf_cluster_name")
    try:
        shown = " ".join(fleet.play(PLAYBOOK, *LIMIT).split())
    finally:
        node.check("rm", "/var/lib/ganeti/ssconf_cluster_name")
    assert "several kinds of hypervisor are on this host: proxmox, ganeti; set virtio_rng_hypervisor" in shown
    node.check("mv", "/usr/local/bin/pvesh", "/usr/local/bin/none")
    written = run_as_cron(node)
    assert (written["hypervisor_observed",], written["hypervisor_kinds",]) == (0, 0)
    assert ("host_crng_ready",) in written
    node.check("mv", "/usr/local/bin/none", "/usr/local/bin/pvesh")
    written = run_as_cron(node)  # it finds out each time
    assert (written["hypervisor_observed",], written["hypervisor_kinds",]) == (1, 1)
