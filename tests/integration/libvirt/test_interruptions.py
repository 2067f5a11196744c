# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are cut short: the daemon is killed, or the module itself."""

from __future__ import annotations

import random
import time
import xml.etree.ElementTree as ET

import pytest
from integration.libvirt.hypervisor import Hypervisor, Outcome, wait_for_rng
from lab import Guest
from lab.process import PATIENCE

KILLS = 50
RATES = (1024, 2048)
GUESTS = 12


def rate_of(rng: str) -> int:
    """The bytes of a canonical RNG element that a test here has asked for."""
    (rate,) = ET.fromstring(rng).iterfind("rate")
    return int(rate.attrib["bytes"])


def test_libvirtd_killed_at_random_points(fragile: Hypervisor) -> None:
    """Runs that change every guest, 50 of them with a daemon that dies somewhere on the way and comes back."""
    names = [f"guest{number}" for number in range(GUESTS)]
    for name in names:
        fragile.define(name, firmware_only=True, machine="pc", memory=32, running=name in names[:2])
    for rate in RATES:
        begin = time.monotonic()
        fragile.module([{"guest": name, "max_bytes": rate} for name in names], wait=0)
    duration = time.monotonic() - begin  # of the second one, which finds warm caches
    fragile.restart_libvirtd()  # by itself a restart drops an alias from the live XML of a guest without USB
    before = fragile.documents()
    timing = random.Random(20)  # noqa: S311 - no secret: the same moments in every run
    kills = 0
    for attempt in range(3 * KILLS):
        wanted = RATES[attempt % 2]
        run = fragile.start_module([{"guest": name, "max_bytes": wanted} for name in names], wait=0)
        time.sleep(timing.uniform(0, duration))
        if run.poll() is None:
            fragile.kill_libvirtd()
            fragile.start_libvirtd()
            kills += 1
        else:
            duration *= 0.9  # the machine has become faster: others on it have ended
        out, _err = run.communicate(timeout=PATIENCE)
        assert out.startswith("\n{"), "the module ended without a result"
        for name, both in fragile.documents().items():
            config, live = fragile.rngs_of(both["config"]), fragile.rngs_of(both["live"])
            assert set(map(rate_of, config + live)) <= set(RATES), name
            assert config, f"{name} was left without an RNG"
            assert live or not both["live"], f"{name} was left without an RNG"
        if kills == KILLS:
            break
    assert kills == KILLS, "the module mostly ended before the daemon was killed"
    fragile.assert_rest_identical(before)
    final = [{"guest": name, "max_bytes": RATES[0]} for name in names]
    assert not fragile.module(final).failed
    assert not fragile.module(final).changed
    assert {fragile.counts(name)[0] for name in names} == {1}


@pytest.mark.parametrize("changes", range(5))
def test_module_killed_in_the_middle_of_a_replacement(changes: int, hv: Hypervisor, runner: Guest) -> None:
    """After each of the four calls of a replacement, and before the first."""
    hv.module([{"guest": runner.name}])
    before = hv.documents()
    wanted = [{"guest": runner.name, "max_bytes": 4096}]
    assert hv.module(wanted, die_after=changes).result == {"killed": True}
    config, live = hv.counts(runner.name)
    assert config in (1, 2)
    assert live in (1, 2)
    hv.survives(runner)
    assert not hv.module(wanted, wait=60).failed
    assert not hv.module(wanted).changed
    assert hv.counts(runner.name) == (1, 1)
    wait_for_rng(runner)
    hv.assert_rest_identical(before)


def test_daemon_killed_and_not_back(fragile: Hypervisor) -> None:
    """The module gives up after a while, and says so for every guest that it could not finish."""
    names = ["one", "two"]
    for name in names:
        fragile.define(name, firmware_only=True)
    devices = [{"guest": name} for name in names]
    try:
        done: Outcome = fragile.module(devices, between="kill -9 $(cat /run/libvirtd.pid)")
    finally:
        fragile.start_libvirtd()
    assert done.failed
    for name in names:
        assert "cannot open qemu:///system" in done.guest(name)["error"]
        assert not done.guest(name)["changed"]
    assert fragile.module(devices).changed
    assert not fragile.module(devices).changed
