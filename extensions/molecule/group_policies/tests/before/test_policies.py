# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guest has what its groups, its host variables, its hypervisor's overrides or its budget say."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hv2", "ansible://hv3"]

DEFAULT = {"model": "virtio", "backend": "random", "path": "/dev/urandom", "bytes": "1024", "period": "1000"}

WANTED = {
    "hv2": {
        # the rate of web, a child of production; the source of audited, by its priority
        "web1": {**DEFAULT, "path": "/dev/random", "bytes": "4096"},
        # the rate of production, the source of db, the model of its own
        "db1": {**DEFAULT, "model": "virtio-transitional", "backend": "builtin", "path": "", "bytes": "2048"},
        # an override, by its name
        "tmp-build7": {**DEFAULT, "bytes": "512", "period": "500"},
    },
    "hv3": {
        # 1536 bytes a second for both, and batch1 has twice the weight
        "web2": {**DEFAULT, "bytes": "512"},
        "batch1": {**DEFAULT, "bytes": "1024"},
    },
}


@pytest.mark.parametrize("inactive", [False, True], ids=["running", "after a restart"])
def test_domains_have_the_policies(host, guest, inactive):
    wanted = WANTED[host.check_output("hostname")]
    assert {name: guest(name).rngs(inactive=inactive) for name in wanted} == {
        name: [rng] for name, rng in wanted.items()
    }


def test_kernels_of_the_guests_use_them(host, guest):
    names = WANTED[host.check_output("hostname")]
    assert {name: guest(name).rng_current() for name in names} == dict.fromkeys(names, "virtio_rng.0")


def test_a_guest_cannot_draw_faster_than_its_rate(host, guest):
    name, count, quotas, period = {
        "hv2": ("tmp-build7", 2560, 5, 0.5),
        "hv3": ("web2", 2048, 4, 1.0),
    }[host.check_output("hostname")]
    # The first quota is there at once, and what is left of it depends on the moment, hence two less.
    assert guest(name).seconds_to_draw(count) >= (quotas - 2) * period
