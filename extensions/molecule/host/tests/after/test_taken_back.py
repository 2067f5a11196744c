# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role has set up is gone, and the hypervisor as its administrators had left it."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hvh1"]

OURS = ("/etc/local.d/fleet-rng-permissions.start", "/etc/local.d/fleet-rng-hwrng.start", "/etc/default/rngd")


@pytest.mark.parametrize("path", OURS)
def test_nothing_of_ours_is_left(host, path):
    assert not host.file(path).exists


def test_the_choice_of_now_is_still_the_one(host):
    assert host.check_output("cat /sys/class/misc/hw_random/rng_current") == "tpm-rng-0"


def test_libvirts_configuration_is_what_it_was_to_the_byte(host):
    assert host.check_output("cmp /etc/libvirt/qemu.conf /root/qemu.conf.before") == ""


def test_no_daemon_runs(host):
    assert host.process.filter(comm="rngd") == []
    assert host.run("ls /etc/rc2.d | grep 'S.*rngd'").stdout == ""
