# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fleet.rng.qemu_rng and fleet.rng.qemu_rng_info on QEMUs that run."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from integration.qemu.conftest import Q35, Start
from integration.qemu.machine import Machine, converge, observe
from lab.process import PATIENCE, wait_for
from lab.qemu import AGENT

# Reads 64 bytes at a time, until told to stop; then says how many reads there were. A failed one ends it badly.
READER = """
n=0
while [ ! -e /tmp/stop ]; do dd if=/dev/hwrng bs=64 count=1 2>/dev/null | grep -q . || exit 9; n=$((n+1)); done
rm /tmp/stop; echo $n
"""


@pytest.fixture(params=["q35", "pc"])
def guest(request: pytest.FixtureRequest) -> Machine:
    """A guest without an RNG."""
    machine: Machine = request.getfixturevalue(request.param)
    converge(machine, state="absent")
    assert (machine.rngs, machine.backends) == ([], [])
    return machine


def test_a_guest_gets_uses_and_loses_an_rng(guest: Machine) -> None:
    predicted = converge(guest, check=True)
    assert (predicted["changed"], predicted["live"]) == (True, "added")
    assert guest.rngs == []
    assert converge(guest)["live"] == "added"
    wait_for("the guest's driver", lambda: guest.rng_current().startswith("virtio_rng."))
    assert int(guest.run("head -c 256 /dev/hwrng | wc -c")) == 256
    again = converge(guest)
    assert (again["changed"], again["live"]) == (False, "unchanged")
    seen = observe()[guest.name]
    assert [(found["source"], found["max_bytes"], found["alias"]) for found in seen["live"]] == [
        ("/dev/urandom", 1024, "ua-fleet-rng")
    ]
    assert converge(guest, state="absent")["live"] == "removed"
    assert (guest.rngs, guest.backends) == ([], [])
    assert not guest.rng_current().startswith("virtio_rng.")


def test_a_replacement_leaves_no_gap(guest: Machine) -> None:
    converge(guest, max_bytes="unlimited")
    wait_for("the guest's driver", lambda: guest.rng_current().startswith("virtio_rng."))
    reader = guest.launch(READER)
    for source in ("builtin", "/dev/random", "/dev/urandom"):
        assert converge(guest, max_bytes="unlimited", source=source)["live"] == "replaced"
        assert len(guest.rngs) == len(guest.backends) == 1
    guest.run("touch /tmp/stop")
    assert int(guest.result(reader)) > 0


def test_firmware_only_keeps_its_device_until_it_lets_go(start: Start) -> None:
    guest = start("fleet-stopped", "q35", "-S", *Q35)
    assert converge(guest)["live"] == "added"
    outcome = converge(guest, wait=1, max_bytes=2048)
    assert outcome["live"] == "pending_removal"
    assert sorted(guest.backends) == ["ua-fleet-rng-2-source", "ua-fleet-rng-source"]  # never from under a device
    guest.ask("system_reset")
    wait_for("the removal", lambda: guest.rngs == ["ua-fleet-rng-2"])
    assert converge(guest, max_bytes=4096, wait=1)["live"] == "pending_removal"
    assert "ua-fleet-rng-2-source" in guest.backends
    guest.stop()


@pytest.mark.parametrize(
    ("machine", "more", "reason"),
    [
        ("microvm", (), "virtio-mmio"),
        ("isapc", (), "no PCI bus"),
        ("q35", (), "no free PCIe port"),
        ("q35", ("-device", "pcie-root-port,id=rp1,hotplug=off"), "no free PCIe port"),
        ("q35", ("-device", "pcie-root-port,id=rp1", "-device", "virtio-rng-pci,bus=rp1"), "no free PCIe port"),
    ],
)
def test_machines_without_room(start: Start, machine: str, more: tuple[str, ...], reason: str) -> None:
    guest = start("fleet-full", machine, "-S", *more)
    before = guest.rngs, guest.backends
    assert reason in converge(guest)["error"]
    assert (guest.rngs, guest.backends) == before
    guest.stop()


@pytest.mark.parametrize("name", ["{{ 7*7 }}", "a\x1b[2J\u202eb", "$(touch /tmp/hostile)`id`;'\"", "-qmp"])
def test_hostile_names(start: Start, name: str) -> None:
    guest = start("fleet-named", "pc", "-S", "-name", name.replace(",", ",,"))
    assert name in observe()
    guest.name = name
    guest.stop()


def test_a_monitor_in_use_stops_nobody(start: Start) -> None:
    busy, other = start("fleet-busy", "pc", "-S"), start("fleet-other", "pc", "-S")
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(str(busy.qmp))
        second.connect(str(busy.spy))
        seen = observe()
        assert "another client is connected" in seen[busy.name]["error"]
        assert seen[other.name]["error"] is None
        assert "another client is connected" in converge(busy)["error"]
    assert converge(busy)["live"] == "added"
    busy.stop()
    other.stop()


def test_a_frozen_qemu_stops_nobody(start: Start) -> None:
    frozen, other = start("fleet-frozen", "pc", "-S"), start("fleet-other2", "pc", "-S")
    frozen.freeze()
    seen = observe()
    assert "or QEMU hangs" in seen[frozen.name]["error"]
    assert seen[other.name]["error"] is None
    frozen.stop()
    other.stop()


def is_served(guest: Machine) -> bool:
    """Whether somebody is connected to the monitor of the modules."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return any(line.split()[5] == "03" and line.endswith(f" {guest.qmp}") for line in lines)


def test_a_guest_that_is_killed_meanwhile(start: Start) -> None:
    guest = start("fleet-dying", "q35", "-S", *Q35)
    assert converge(guest)["live"] == "added"
    assert guest.process is not None
    with ThreadPoolExecutor(1) as pool:
        # Without a system nobody lets go of the device, so the module waits.
        run = pool.submit(converge, guest, wait=600, state="absent")
        served = 0
        while served < 20:  # in a row: by then it waits
            served = served + 1 if is_served(guest) else 0
            time.sleep(0.1)
            assert not run.done()
        guest.process.kill()
        outcome = run.result(PATIENCE)
    assert "QMP socket" in outcome["error"]
    assert "QEMU" in outcome["error"] or "nobody answers" in outcome["error"]
    guest.stop()


def test_a_dead_guest_leaves_its_socket(start: Start) -> None:
    guest = start("fleet-dead", "pc", "-S")
    assert guest.process is not None
    guest.process.kill()
    guest.process.wait()
    assert guest.qmp.exists()
    assert guest.name not in observe(sockets=[str(guest.qmp)])
    assert "no guest of this name" in converge(guest)["error"]
    guest.stop()


def test_what_guest_and_host_say(guest: Machine) -> None:
    converge(guest)
    wait_for("the guest's driver", lambda: guest.rng_current().startswith("virtio_rng."))
    mine = {"guests": [guest.name], "guest_view": True, "host_view": True, "monitor": True, "timeout": 120}
    for execute in (False, True):
        seen = observe(guest_exec=execute, **mine)[guest.name]
        inside, outside = seen["guest_view"], seen["host_view"]
        assert (inside["status"], inside["driver"]) == ("seen", True)
        assert inside["rng"]["current"].startswith("virtio_rng.")
        assert (outside["status"], [opened["open"] for opened in outside["open"]]) == ("seen", [True])
        assert [(rng["id"], rng["max_bytes"]) for rng in outside["qemu"]] == [("ua-fleet-rng", 1024)]
    draw = {"seconds": 30, "bytes": 4096}  # the bytes end it
    measured = observe(guest_exec=True, measure=draw, **mine)[guest.name]["guest_view"]["measured"]
    assert measured["status"] == "measured"
    assert 0 < measured["bytes_per_second"] < 1200


def test_an_agent_in_use_or_absent(guest: Machine, start: Start) -> None:
    other = start("fleet-quiet", "pc", "-S", "-device", "virtio-serial-pci", *AGENT)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(guest.agent_socket))
        seen = observe(guest_view=True, guests=[guest.name, other.name], timeout=3)
    assert seen[guest.name]["guest_view"]["status"] == "timed out"
    assert "another program is connected" in seen[guest.name]["guest_view"]["why"]
    assert seen[other.name]["guest_view"]["status"] == "no agent"
    wait_for("the agent", guest.answers)
    other.stop()
