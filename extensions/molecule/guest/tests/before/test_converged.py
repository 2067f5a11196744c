# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver is there and used, and what the next boot needs is written."""

from __future__ import annotations

testinfra_hosts = ["ansible://deb1"]

HW_RANDOM = "/sys/class/misc/hw_random"


def test_kernel_uses_the_virtio_rng(host):
    assert host.check_output(f"cat {HW_RANDOM}/rng_current") == "virtio_rng.0"
    assert host.check_output("head -c 64 /dev/hwrng | wc -c") == "64"


def test_driver_is_loaded_at_every_boot(host):
    assert "virtio_rng" in host.check_output("cat /etc/modules-load.d/fleet-rng-guest.conf").splitlines()


def test_driver_is_in_the_initramfs_and_was_not(host):
    assert "virtio_rng " not in host.check_output("cat /run/lab-initramfs-modules")
    assert "/virtio-rng.ko" in host.check_output("lsinitramfs /initrd.img")


def test_boot_loader_has_the_argument_and_the_kernel_not_yet(host):
    assert "random.trust_cpu=off" in host.check_output("grep -w linux /boot/grub/grub.cfg")
    assert "random.trust_cpu" not in host.check_output("cat /proc/cmdline")
