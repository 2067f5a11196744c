# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that are restarted because something waits for it, and one that does not want to be."""

from __future__ import annotations

from typing import Any

from integration.libvirt.hypervisor import Hypervisor, wait_for_rng
from lab import Guest
from lab.process import wait_for

# What the agent calls to shut a guest down; the guests of the lab are without it, and ignore their power button.
SHUTDOWN = "mkdir -p /sbin; printf '#!/bin/sh\\npoweroff -f\\n' > /sbin/shutdown; chmod +x /sbin/shutdown"


def full(hv: Hypervisor, name: str, *, obeys: bool = True, **spec: Any) -> Guest:
    """A running guest without a free slot, so that a change waits for its next start."""
    guest = hv.define(name, running=True, spare_ports=0, **spec)
    if obeys:
        guest.run(SHUTDOWN)
    return guest


def started(guest: Guest) -> str:
    """What tells one run of a guest from the next."""
    return guest.read("/proc/sys/kernel/random/boot_id").strip()


def one(guest: Guest) -> dict[str, Any]:
    return {"guest": guest.name, "restart": True}


def test_a_guest_gets_its_rng_by_a_shutdown_and_a_start(hv: Hypervisor) -> None:
    guest = full(hv, "patient")
    before, config = started(guest), {guest.name: {"config": hv.documents()[guest.name]["config"], "live": None}}
    waiting = hv.converge([{"guest": guest.name}])
    assert waiting.statuses(guest.name) == ("added", "needs_restart")
    assert started(guest) == before
    predicted, done, again = hv.play(
        {"fleet.rng.libvirt_rng": {"devices": [one(guest)]}, "check_mode": True},
        {"fleet.rng.libvirt_rng": {"devices": [one(guest)], "restart_timeout": 600}},
        {"fleet.rng.libvirt_rng": {"devices": [one(guest)]}},
    )
    assert "it would be restarted for that" in predicted.guest(guest.name)["reason"]
    assert done.statuses(guest.name) == ("unchanged", "added")
    assert predicted.changed
    assert done.changed
    assert not again.changed
    guest.wait()
    assert started(guest) != before
    wait_for_rng(guest)
    hv.assert_rest_identical(config)


def test_a_guest_that_ignores_it_is_left_running_and_the_next_one_waits(hv: Hypervisor) -> None:
    deaf, next_one = full(hv, "deaf", obeys=False), full(hv, "nextone")
    before = started(deaf), started(next_one)
    done = hv.module([one(deaf), one(next_one)], restart_timeout=5)
    assert done.failed
    assert done.guest("deaf")["error"].startswith("it was asked to shut down and runs on after 5 seconds")
    assert done.guest("nextone")["error"] is None
    assert "not restarted: the restart of deaf failed" in done.guest("nextone")["reason"]
    assert [done.guest(name)["live"] for name in ("deaf", "nextone")] == ["needs_restart"] * 2
    assert (started(deaf), started(next_one)) == before

    forced = hv.module([one(deaf), one(next_one)], restart_timeout=5, restart_force=True)
    assert [forced.statuses(name) for name in ("deaf", "nextone")] == [("unchanged", "added")] * 2
    for guest in (deaf, next_one):
        guest.wait()
        wait_for_rng(guest)


def test_a_paused_guest_is_left_as_it_is(hv: Hypervisor) -> None:
    guest = full(hv, "paused", firmware_only=True, obeys=False)
    hv.host.virsh("suspend", "--domain", guest.uuid)
    done = hv.module([one(guest)])
    assert done.statuses(guest.name) == ("added", "needs_restart")
    assert done.guest(guest.name)["reason"].endswith("; not restarted: it is paused")


def test_nobody_is_restarted_while_a_guest_of_the_host_is_saved(hv: Hypervisor) -> None:
    guest = full(hv, "patient", firmware_only=True, obeys=False)
    busy = hv.define("busy", running=True, firmware_only=True)
    # Saving a guest is a job of libvirt like a migration or a backup. This one goes nowhere until the guest is gone.
    reader = "sleep 6000 < /tmp/image & echo $! > /tmp/reader"
    script = f"mkfifo /tmp/image; ({reader}; virsh save --domain $0 /tmp/image) > /tmp/saving 2>&1 &"
    hv.host.check("sh", "-c", script, busy.uuid)
    wait_for("the job of busy", lambda: "Save" in hv.host.virsh("domjobinfo", "--domain", busy.uuid))
    done = hv.module([one(guest)])
    hv.host.check("sh", "-c", "kill $(cat /tmp/reader)")  # else libvirt tries for half a minute to end it
    assert done.statuses(guest.name) == ("added", "needs_restart")
    reason = done.guest(guest.name)["reason"]
    assert reason.endswith("; not restarted: busy is being migrated, backed up, saved or dumped")
