# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest without any policy has the collection's default, in its configuration and inside."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv1"]

DEFAULT = {"model": "virtio", "backend": "random", "path": "/dev/urandom", "bytes": "1024", "period": "1000"}


def test_domain_has_one_rng_now_and_after_a_restart(guest):
    assert guest("solo").rngs() == [DEFAULT]
    assert guest("solo").rngs(inactive=True) == [DEFAULT]


def test_kernel_of_the_guest_uses_it(guest):
    assert guest("solo").rng_current() == "virtio_rng.0"
    assert guest("solo").run("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c").strip() == "64"
