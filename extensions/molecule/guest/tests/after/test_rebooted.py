# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a reboot all of it holds, from the initramfs on."""

from __future__ import annotations

testinfra_hosts = ["ansible://deb1"]

HW_RANDOM = "/sys/class/misc/hw_random"


def test_driver_was_loaded_in_the_initramfs(host):
    modules = host.check_output("cat /run/lab-initramfs-modules").splitlines()
    assert "virtio_rng" in [line.split()[0] for line in modules]


def test_kernel_uses_the_virtio_rng_as_told(host):
    assert host.check_output(f"cat {HW_RANDOM}/rng_current") == "virtio_rng.0"
    assert host.check_output(f"cat {HW_RANDOM}/rng_selected") == "1"


def test_kernel_has_the_argument(host):
    assert "random.trust_cpu=off" in host.check_output("cat /proc/cmdline").split()


def test_nothing_failed_at_boot(host):
    assert host.check_output("systemctl --failed --no-legend") == ""
