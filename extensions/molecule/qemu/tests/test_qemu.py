# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of plain QEMU have what they should have now, and in the file that they start with."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://qm1"]

OURS = {"id": "ua-fleet-rng", "source": "/dev/urandom", "max-bytes": 1024, "period": 1000}
UNLIMITED = 2**63 - 1  # what QEMU says where nobody set a limit


def config(host, name):
    return host.file(f"/etc/qemu/{name}.cfg").content_string


def test_monitors_tell_of_the_policies(qemu_guest):
    assert qemu_guest("plugged").rngs() == [{**OURS, "max-bytes": 2048, "period": 500}]
    assert qemu_guest("plugged").backends() == ["ua-fleet-rng-source"]


def test_an_rng_of_somebody_else_is_replaced(host, qemu_guest):
    assert qemu_guest("swapped").rngs() == [OURS]
    assert qemu_guest("swapped").backends() == ["ua-fleet-rng-source"]
    assert "vrng0" not in config(host, "swapped")


@pytest.mark.parametrize(("name", "current"), [("plugged", "virtio_rng.0"), ("swapped", "virtio_rng.1")])
def test_kernels_of_the_guests_use_them(qemu_guest, name, current):
    assert qemu_guest(name).settles_on(current)  # the new device was there before an old one went
    assert qemu_guest(name).run("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c").strip() == "64"


def test_the_rest_of_a_file_stays(host):
    theirs = '# The disks of this guest are on the command line.\n[object "io1"]\n  qom-type = "iothread"\n'
    assert config(host, "plugged").startswith(theirs)
    assert 'max-bytes = "2048"' in config(host, "plugged")[len(theirs) :]


def test_what_cannot_be_plugged_in_comes_with_the_restart(host, qemu_guest):
    host.check_output("qemu-guest restart micro")
    assert qemu_guest("micro").rngs() == [{**OURS, "source": "builtin"}]
    assert "virtio-rng-device" in config(host, "micro")


def test_a_guest_that_was_off_boots_with_its_file(host, qemu_guest):
    host.check_output("qemu-guest start dormant")
    try:
        qemu_guest("dormant").wait()
        (rng,) = qemu_guest("dormant").rngs()
        assert (rng["id"], rng["source"], rng["max-bytes"]) == ("ua-fleet-rng", "/dev/random", UNLIMITED)
        assert qemu_guest("dormant").settles_on("virtio_rng.0")
    finally:
        host.check_output("qemu-guest stop dormant")
