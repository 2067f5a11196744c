# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of libvirt that runs has its RNG now, and uses it."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv8"]


def test_guest_has_and_uses_it(guest):
    assert [(rng["bytes"], rng["period"]) for rng in guest("front-hv").rngs()] == [("2048", "500")]
    assert guest("front-hv").settles_on("virtio_rng.0")
