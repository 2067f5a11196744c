# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node has stored what its guests should have, in its own words, and what has to wait for a restart as pending."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://pve1"]

DEFAULT = "source=/dev/urandom,period=1000,max_bytes=1024"

WANTED = {
    "shop": {"pending": "source=/dev/urandom,period=500,max_bytes=4096"},  # it runs
    "mover": {"value": DEFAULT},  # its policy allows a restart
    "spare": {"value": "source=/dev/random,period=1000,max_bytes=0"},  # it is off; 0 is no limit there
    "golden": {},  # a template
    "suiting": {"value": "/dev/urandom"},  # which means the same as the default
    "retired": {"value": "/dev/urandom,max_bytes=16", "delete": 1},  # its policy is to have none
}


@pytest.mark.parametrize("name", WANTED)
def test_rng_is_what_the_policy_asks_for(node_guest, name):
    assert node_guest(name).pending() == WANTED[name]


def test_the_rest_of_a_file_stays(node_guest):
    before, snapshot = "#the shop%3A do not touch\nmemory: 512\nname: shop\n", "memory: 256\nrng0: /dev/hwrng\n"
    text = node_guest("shop").text()
    assert text.startswith(before)
    assert text.endswith(f"\n[PENDING]\nrng0: {WANTED['shop']['pending']}\n\n[before]\n{snapshot}")


def test_only_who_may_was_restarted(host, node_guest):
    log = host.file("/run/lab/host/proxmox/var/log/pvesh.log").content_string
    assert f"/qemu/{node_guest('mover').vmid}/status/shutdown" in log
    for name in set(WANTED) - {"mover"}:
        number = node_guest(name).vmid
        assert f"/qemu/{number}/status/shutdown" not in log
        assert f"/qemu/{number}/status/stop" not in log
