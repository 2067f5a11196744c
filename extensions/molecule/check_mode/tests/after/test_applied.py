# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run after check mode has done what was predicted."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv4"]

DEFAULT = {"model": "virtio", "backend": "random", "path": "/dev/urandom", "bytes": "1024", "period": "1000"}


def test_domains_have_the_default(guest):
    assert guest("bare").rngs() == [DEFAULT]
    assert guest("slow").rngs() == [DEFAULT]
    assert guest("slow").rngs(inactive=True) == [DEFAULT]


def test_kernel_of_the_guest_uses_the_new_rng(guest):
    assert guest("slow").rng_current() == "virtio_rng.1"
