# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of verify_rng.yml names the guests that are not as they should be, and those that nobody can ask."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hv7"]


@pytest.fixture
def guests(report):
    found = report("report-verify").guests("hv7")
    assert sorted(found) == ["hung", "nodriver"]
    return found


def test_a_guest_without_the_driver_has_failed(guest, guests):
    assert guest("nodriver").rng_current() == "none"
    assert [rng["bytes"] for rng in guest("nodriver").rngs()] == ["1024"]  # it is attached all the same
    entry = guests["nodriver"]
    assert (entry["verdict"], entry["view"]["driver"], entry["view"]["current"]) == ("failed", False, None)
    remedies = {finding["id"]: finding["remedy"] for finding in entry["findings"]}
    assert "modprobe virtio_rng" in remedies["RNG109"]


def test_a_guest_whose_agent_hangs_is_unproven_and_not_failed(guest, guests):
    assert [rng["bytes"] for rng in guest("hung").rngs()] == ["1024"]
    entry = guests["hung"]
    assert (entry["verdict"], entry["view"]["status"]) == ("unproven", "timed out")
    assert "RNG118" in [finding["id"] for finding in entry["findings"]]
