# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster has stored what its instances should have, and those that were started since then have it."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://gnt1"]

OURS = {"id": "ua-fleet-rng", "source": "/dev/urandom", "max-bytes": 1024, "period": 1000}
DEVICE = "-device virtio-rng-pci,rng=ua-fleet-rng-source{mark},id=ua-fleet-rng"
WORDS = f"-object rng-random,id=ua-fleet-rng-source{{mark}},filename={{source}} {DEVICE}"
LIMIT = ",max-bytes={},period=1000"

STORED = {
    "waiting": "-device i6300esb,id=dog " + WORDS.format(mark="", source="/dev/urandom") + LIMIT.format(1024),
    "idle": '-name "one, \\ two" -S ' + WORDS.format(mark="", source="/dev/random"),
}


@pytest.mark.parametrize("name", STORED)
def test_own_words_follow_those_of_others(instance, name):
    assert instance(name).own()["kvm_extra"] == STORED[name]
    assert instance(name).listed() == STORED[name]


@pytest.mark.parametrize(("name", "rate"), [("heir", 1024), ("rebooted", 2048)])
def test_who_had_none_of_its_own_has_only_ours(instance, name, rate):
    words = instance(name).own()["kvm_extra"]
    mark = words.partition("ua-fleet-rng-source")[2].partition(",")[0]
    assert mark.startswith(".default.")  # so that it can go back to inheriting
    assert words == WORDS.format(mark=mark, source="/dev/urandom") + LIMIT.format(rate)


def test_who_may_not_be_rebooted_waits(instance):
    assert instance("waiting").rngs() == []
    assert not [word for word in instance("waiting").command_line() if "rng" in word]


def test_who_may_was_started_with_it(instance):
    rebooted = instance("rebooted")
    extra = rebooted.own()["kvm_extra"].split()
    command = rebooted.command_line()
    assert [word for word in command if "rng" in word] == extra[1::2]
    assert rebooted.rngs() == [{**OURS, "max-bytes": 2048}]


def test_kernel_of_the_instance_uses_it(instance):
    rebooted = instance("rebooted")
    rebooted.wait()  # nobody did since its reboot
    assert rebooted.settles_on("virtio_rng.0")
    assert rebooted.run("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c").strip() == "64"
