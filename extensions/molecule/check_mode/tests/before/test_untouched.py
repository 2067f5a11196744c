# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode has left everything as it was."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv4"]


def test_domains_are_as_the_lab_defined_them(guest):
    assert guest("bare").rngs() == []
    assert [rng["bytes"] for rng in guest("slow").rngs()] == ["16"]
    assert [rng["bytes"] for rng in guest("slow").rngs(inactive=True)] == ["16"]


def test_kernel_of_the_guest_still_uses_its_first_rng(guest):
    assert guest("slow").rng_current() == "virtio_rng.0"
