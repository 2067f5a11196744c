# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of verify_rng.yml says of sound guests what one finds inside them."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hv6"]

RATES = {"steady": 1024, "brisk": 4096, "hostile": 1024}  # bytes in a period of a second
QUOTAS = 5
SLOW = {"RNG114"}  # a busy machine gives a guest less than its quota: a warning, and no reason against it


@pytest.fixture
def guests(report):
    return report("report-verify").guests("hv6")


def test_every_guest_is_in_the_report(host, guests):
    uuids = {name: host.check_output("virsh -c qemu:///system domuuid %s", name).strip() for name in RATES}
    assert {name: entry["uuid"] for name, entry in guests.items()} == uuids


@pytest.mark.parametrize("name", RATES)
def test_they_are_verified_and_say_the_same_themselves(guest, guests, name):
    entry = guests[name]
    assert entry["verdict"] == "verified", entry["reason"]
    assert {finding["id"] for finding in entry["findings"]} <= SLOW
    assert entry["view"]["current"] == guest(name).rng_current() == "virtio_rng.0"
    assert entry["view"]["kernel"] == guest(name).run("uname -r").strip()


@pytest.mark.parametrize(("name", "rate"), RATES.items())
def test_measured_rate_is_the_one_that_the_guest_has(guest, guests, name, rate):
    measured = guests[name]["view"]["measured"]
    assert measured["status"] == "measured"
    assert guests[name]["checks"]["measured"]["result"] != "fail"
    # A quota may be there at once, and one may come at the end.
    assert 0 < measured["bytes"] <= rate * (measured["seconds"] + 2)
    assert guest(name).seconds_to_draw(rate * QUOTAS) >= QUOTAS - 2
