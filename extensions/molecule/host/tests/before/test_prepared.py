# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor is as its inventory says, now and at the next boot, and what is not ours is as it was."""

from __future__ import annotations

testinfra_hosts = ["ansible://hvh1"]

HW_RANDOM = "/sys/class/misc/hw_random"


def test_kernel_uses_the_one_that_is_preferred(host):
    assert host.check_output(f"cat {HW_RANDOM}/rng_current") == "tpm-rng-0"


def test_boot_script_chooses_it_again(host):
    host.check_output(f"echo amd > {HW_RANDOM}/rng_current")
    host.check_output("/etc/local.d/fleet-rng-hwrng.start")
    assert host.check_output(f"cat {HW_RANDOM}/rng_current") == "tpm-rng-0"


def test_guests_may_read_the_device_now_and_after_a_boot(host):
    device = host.file("/dev/hwrng")
    assert (device.user, device.group, device.mode) == ("root", "kvm", 0o640)
    host.check_output("chown root:root /dev/hwrng && chmod 600 /dev/hwrng")
    host.check_output("/etc/local.d/fleet-rng-permissions.start")
    assert (device.user, device.group, device.mode) == ("root", "kvm", 0o640)
    assert host.file("/etc/runlevels/default/local").is_symlink


def test_libvirt_allows_it_and_all_that_it_allowed(host):
    before = host.file("/root/qemu.conf.before").content_string
    after = host.file("/etc/libvirt/qemu.conf").content_string
    assert after == before.replace(
        "cgroup_device_acl = [",
        '# fleet.rng added to the list below: "/dev/hwrng"\ncgroup_device_acl = [ "/dev/hwrng",',
    )
    assert host.file("/etc/libvirt/qemu.conf").mode == 0o600


def test_libvirt_starts_with_that_file(host):
    host.check_output("kill $(cat /run/libvirtd.pid); while [ -e /run/libvirtd.pid ]; do sleep 0.1; done")
    host.check_output("/usr/sbin/libvirtd --daemon")
    assert host.check_output("virsh -c qemu:///system uri").strip() == "qemu:///system"


def test_the_daemon_that_was_asked_for_runs(host):
    assert len(host.process.filter(comm="rngd")) == 1
    assert host.check_output("ls /etc/rc2.d | grep -c 'S.*rngd'") == "1"
