# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ours are gone, from the running guests too, and the one of somebody else is still in use."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hv5"]


@pytest.mark.parametrize("inactive", [False, True], ids=["now", "after a restart"])
def test_only_the_rng_of_somebody_else_is_left(guest, inactive):
    names = ("ours", "stopped", "theirs")
    rates = {name: [rng["bytes"] for rng in guest(name).rngs(inactive=inactive)] for name in names}
    assert rates == {"ours": [], "stopped": [], "theirs": ["2048"]}


def test_kernels_of_the_guests_agree(guest):
    assert guest("ours").rng_current() == "none"
    assert guest("theirs").rng_current() == "virtio_rng.0"
