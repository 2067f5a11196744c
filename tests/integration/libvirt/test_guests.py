# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests in every state and of every kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.libvirt.hypervisor import Cycle, Hypervisor, wait_for_rng
from lab import Guest

HOSTILE = {
    "template": "{{7*7}}",
    "shell": ";reboot",
    "number": "5",
    "option": "-x",
    "spaces": " a  b ",
    "quotes": 'it\'s "quoted" `id` $(id)',
    "right_to_left": "abc\u202egnp.exe\u202c",
    "markup": "<b>&amp;<script>",
    "emoji": "\U0001f3b2",
    "two_hundred_bytes": "n" * 200,
}
FOREIGN = "<rng model='virtio'><rate bytes='64' period='500'/><backend model='random'>/dev/random</backend></rng>"
SAME = "<rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/><source file='/srv/diver.qcow2'/><target dev='vda' bus='virtio'/>
</disk>
"""
HIDDEN = """
<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'>
  <arg value='-object'/><arg value='rng-random,id=objrng0,filename=/dev/urandom'/>
  <arg value='-device'/><arg value='virtio-rng-pci,rng=objrng0,id=rng0,addr=0x1d'/>
</commandline>
"""
NO_PCI = """
<domain type='qemu'><name>{machine}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='{machine}'>hvm</type><kernel>/run/lab/images/vmlinuz</kernel></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>
"""


@pytest.fixture(scope="module")
def named(main: Hypervisor) -> Iterator[Cycle]:
    """Guests with every name that libvirt allows, in one play."""
    for name in HOSTILE.values():
        main.define(name, firmware_only=True)
    yield main.cycle([{"guest": name} for name in HOSTILE.values()])
    main.forget()


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_name_is_taken_literally(kind: str, named: Cycle, main: Hypervisor) -> None:
    assert named.statuses(HOSTILE[kind]) == ("added", "not_applicable")
    assert main.counts(HOSTILE[kind]) == (1, None)


@pytest.mark.usefixtures("named")
def test_hostile_name_is_shown_without_effect(main: Hypervisor) -> None:
    done = main.converge([{"guest": name, "max_bytes": 0} for name in HOSTILE.values()])
    assert "\u202e" not in done.msg
    assert "\\u202e" in done.msg
    assert "{{7*7}}" in done.msg


def test_unknown_guest(hv: Hypervisor, other: Guest) -> None:
    cycle = hv.cycle([{"guest": "nobody"}, {"guest": other.name}])
    assert cycle.applied.guest("nobody")["error"] == "no guest of this name or UUID is here"
    assert cycle.applied.msg == "1 of 2 guests failed: nobody: no guest of this name or UUID is here"
    assert cycle.statuses(other.name) == ("added", "not_applicable")


def test_guest_by_uuid(hv: Hypervisor, other: Guest) -> None:
    assert hv.cycle([{"guest": other.uuid}]).statuses(other.uuid) == ("added", "not_applicable")
    assert hv.counts(other.name) == (1, None)


def test_vanished_between_observation_and_change(hv: Hypervisor, other: Guest) -> None:
    ghost = hv.define("ghost")
    devices = [{"guest": "ghost"}, {"guest": other.name}]
    done = hv.module(devices, between=f"virsh undefine {ghost.uuid}")
    assert "no longer there" in done.guest("ghost")["error"]
    assert done.statuses(other.name) == ("added", "not_applicable")
    assert hv.module(devices).guest("ghost")["error"] == "no guest of this name or UUID is here"


def test_started_between_observation_and_change(hv: Hypervisor) -> None:
    guest = hv.define("starter", firmware_only=True)
    done = hv.module([{"guest": "starter"}], between=f"virsh start {guest.uuid}")
    assert done.statuses("starter") == ("added", "added")
    assert hv.counts("starter") == (1, 1)
    assert not hv.module([{"guest": "starter"}]).changed


def test_stopped_between_observation_and_change(hv: Hypervisor) -> None:
    guest = hv.define("stopper", firmware_only=True, running=True)
    done = hv.module([{"guest": "stopper"}], between=f"virsh destroy {guest.uuid}")
    assert done.statuses("stopper") == ("added", "not_applicable")
    assert hv.counts("stopper") == (1, None)
    assert not hv.module([{"guest": "stopper"}]).changed


def test_paused_guest_takes_a_device_and_releases_one_once_it_goes_on(hv: Hypervisor, runner: Guest) -> None:
    hv.host.virsh("suspend", runner.uuid)
    try:
        assert hv.cycle([{"guest": "runner"}]).statuses("runner") == ("added", "added")
        wanted = [{"guest": "runner", "max_bytes": 2048}]
        cycle = hv.cycle(wanted, wait=1, predictable=False)
        assert cycle.statuses("runner") == ("replaced", "pending_removal")
        assert hv.counts("runner") == (1, 2)
    finally:
        hv.host.virsh("resume", runner.uuid)
    finished = hv.module(wanted, wait=60)
    assert finished.statuses("runner")[0] == "unchanged"
    assert hv.counts("runner") == (1, 1)
    wait_for_rng(runner)
    assert runner.draw(64).bytes == 64


def test_firmware_only_guest_never_releases_and_never_collects_devices(hv: Hypervisor) -> None:
    hv.define("bios", firmware_only=True, running=True, rng=FOREIGN)
    for dummy in range(2):
        cycle = hv.cycle([{"guest": "bios"}], wait=1, predictable=False)
        assert cycle.applied.guest("bios")["live"] == "pending_removal"
        assert hv.counts("bios") == (1, 2)
    assert cycle.again.statuses("bios") == ("unchanged", "pending_removal")


def test_transient_guest(hv: Hypervisor) -> None:
    guest = hv.define("passing", firmware_only=True, running=True)
    hv.host.virsh("undefine", guest.uuid)
    cycle = hv.cycle([{"guest": "passing"}])
    assert cycle.statuses("passing") == ("not_applicable", "added")
    assert "transient" in cycle.applied.guest("passing")["reason"]
    refused = hv.converge([{"guest": "passing", "max_bytes": 1}], live=False)
    assert "transient guest can only be changed while it runs" in refused.guest("passing")["error"]


def test_managed_save_brings_the_old_devices_back_and_the_next_run_repairs(hv: Hypervisor) -> None:
    guest = hv.define("sleeper", firmware_only=True, running=True)
    hv.host.virsh("managedsave", guest.uuid)
    cycle = hv.cycle([{"guest": "sleeper"}])
    assert cycle.statuses("sleeper") == ("added", "not_applicable")
    assert "managed save" in cycle.applied.guest("sleeper")["reason"]
    guest.start()
    assert hv.counts("sleeper") == (1, 0)
    assert hv.cycle([{"guest": "sleeper"}]).statuses("sleeper") == ("unchanged", "added")


def test_reverted_snapshot_brings_the_old_devices_back_and_the_next_run_repairs(hv: Hypervisor) -> None:
    hv.host.check("qemu-img", "create", "-f", "qcow2", "/srv/diver.qcow2", "1M")  # there is no snapshot of nothing
    guest = hv.define("diver", firmware_only=True, devices=DISK)
    hv.host.virsh("snapshot-create-as", guest.uuid, "before")
    cycle = hv.cycle([{"guest": "diver"}])
    assert cycle.statuses("diver") == ("added", "not_applicable")
    assert "snapshots" in cycle.applied.guest("diver")["reason"]
    hv.host.virsh("snapshot-revert", guest.uuid, "before")
    assert hv.counts("diver") == (0, None)
    assert hv.cycle([{"guest": "diver"}]).statuses("diver") == ("added", "not_applicable")


@pytest.mark.parametrize("machine", ["isapc", "microvm"])
def test_machine_without_pci_is_refused(machine: str, hv: Hypervisor, other: Guest) -> None:
    guest = Guest(hv.host, other.spec)
    guest.uuid = f"00000000-0000-4000-8000-{len(machine):012}"
    hv.define_xml(guest, NO_PCI.format(machine=machine, uuid=guest.uuid))
    cycle = hv.cycle([{"guest": machine}, {"guest": other.name}])
    assert "no bus for a virtio RNG" in cycle.applied.guest(machine)["error"]
    assert cycle.statuses(other.name) == ("added", "not_applicable")
    assert hv.counts(machine) == (0, None)


def test_no_free_port_needs_a_restart_and_gets_the_device_by_it(hv: Hypervisor, noslot: Guest) -> None:
    cycle = hv.cycle([{"guest": noslot.name}])
    assert cycle.statuses(noslot.name) == ("added", "needs_restart")
    assert "no free PCIe port" in cycle.applied.guest(noslot.name)["reason"]
    assert cycle.again.statuses(noslot.name) == ("unchanged", "needs_restart")
    assert hv.counts(noslot.name) == (1, 0)


def test_two_identical_foreign_rngs_become_one(hv: Hypervisor, runner: Guest) -> None:
    hv.define("twins", firmware_only=True, rng=SAME * 2)
    hv.host.write("/run/same.xml", SAME)
    for dummy in range(2):
        hv.host.virsh("attach-device", runner.uuid, "/run/same.xml", "--live", "--config")
    assert hv.counts(runner.name) == (2, 2)
    cycle = hv.cycle([{"guest": "twins"}, {"guest": runner.name}], wait=60)
    assert cycle.statuses("twins") == ("replaced", "not_applicable")
    assert cycle.statuses(runner.name) == ("replaced", "replaced")
    assert hv.counts("twins") == (1, None)
    assert hv.counts(runner.name) == (1, 1)


def test_foreign_rng_stays_when_not_exclusive(hv: Hypervisor) -> None:
    hv.define("shared", firmware_only=True, rng=FOREIGN)
    assert hv.cycle([{"guest": "shared"}], exclusive=False).statuses("shared") == ("added", "not_applicable")
    assert hv.counts("shared") == (2, None)
    absent = [{"guest": "shared", "state": "absent"}]
    assert hv.cycle(absent, exclusive=False).statuses("shared") == ("removed", "not_applicable")
    assert hv.counts("shared") == (1, None)
    assert hv.cycle(absent).statuses("shared") == ("removed", "not_applicable")


def test_rng_hidden_in_the_qemu_command_line_is_told_and_does_not_break_the_start(hv: Hypervisor) -> None:
    guest = hv.define("hider", firmware_only=True, machine="pc", domain=HIDDEN)
    cycle = hv.cycle([{"guest": "hider"}])
    assert cycle.statuses("hider") == ("added", "not_applicable")
    assert "qemu:commandline" in cycle.applied.guest("hider")["reason"]
    guest.start()
    assert hv.counts("hider") == (1, 1)
    assert hv.cycle([{"guest": "hider", "max_bytes": 1}], live=False).statuses("hider") == ("replaced", "needs_restart")
