# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of libvirt that runs has lost its RNG."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv8"]


def test_guest_has_none(guest):
    assert guest("front-hv").rngs() == []
    assert guest("front-hv").settles_on("none")
