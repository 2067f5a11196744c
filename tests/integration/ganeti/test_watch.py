# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch on the master of a real cluster, beside what ganeti_rng_info says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from integration.ganeti.conftest import Site
from integration.role.conftest import Fleet
from integration.watch.watched import DAEMON, PLAYBOOK, PROGRAM, observe, of_guests, only, run_as_cron

RNG = r"kvm_extra=-object rng-random\,id=r0\,filename=/dev/urandom -device virtio-rng-pci\,rng=r0\,max-bytes=512"
LIMIT = ("-e", "rng_hypervisors=gnt1")


def test_the_metrics_are_what_the_module_observes(site: Site, instance: Callable[..., str], tmp_path: Path) -> None:
    host, fleet = site.cluster.host, Fleet(site.hypervisor.lab, tmp_path)
    host.check("install", "/bin/true", DAEMON)
    running = instance("running")
    site.cluster.gnt("instance", "start", running)
    site.cluster.gnt("instance", "modify", "-H", RNG, running)  # for its next start
    instance("off", RNG)
    instance("without")
    fleet.play(PLAYBOOK, *LIMIT)
    written = run_as_cron(host)
    observed = observe(fleet, "gnt1", "ganeti")
    by_name = {guest["name"].partition(".")[0]: guest["uuid"] for guest in observed["guests"]}
    assert {"running", "off", "without"} <= by_name.keys()
    assert only(written, "guest_running", "guest_attached") == of_guests(observed)
    assert {("guest_attached", by_name["running"], layer): value for layer, value in (("config", 1), ("live", 0))} == {
        key: value for key, value in only(written, "guest_attached").items() if key[1] == by_name["running"]
    }
    assert written["guest_needs_restart", by_name["running"]] == 1
    assert written["guest_max_bytes_per_second", by_name["off"]] == 512 * 1000 / 65536  # QEMU's own period
    assert [key[1] for key in written if key[0] == "hypervisor_info"] == ["ganeti"]
    assert (written["hypervisor_observed",], written["hypervisor_kinds",]) == (1, 1)

    # Without anything but Python and the standard library
    command = ("/usr/bin/python3", "-I", "-S", PROGRAM, "--stdout")
    assert host.check(*command).count("fleet_rng_guest_running{") == len(observed["guests"])


def test_a_master_that_is_not_to_be_reached_leaves_the_host(site: Site, tmp_path: Path) -> None:
    host = site.cluster.host
    Fleet(site.hypervisor.lab, tmp_path).play(PLAYBOOK, *LIMIT)
    host.check("mv", "/run/ganeti/socket/ganeti-query", "/run/ganeti/socket/away")
    try:
        done = host.run("/usr/bin/python3", "-I", PROGRAM, "--stdout")
    finally:
        host.check("mv", "/run/ganeti/socket/away", "/run/ganeti/socket/ganeti-query")
    assert done.returncode == 1
    assert "ganeti-luxid" in done.stderr
    assert f'fleet_rng_hypervisor_observed{{hypervisor="{site.cluster.node}"}} 0' in done.stdout
    assert "fleet_rng_host_crng_ready" in done.stdout
