# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is something to take away from every guest."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv5"]


def test_every_guest_has_an_rng_of_ours(guest):
    assert [rng["bytes"] for rng in guest("ours").rngs()] == ["1024"]
    assert [rng["bytes"] for rng in guest("stopped").rngs()] == ["1024"]
    assert [rng["bytes"] for rng in guest("theirs").rngs()] == ["2048", "1024"]
