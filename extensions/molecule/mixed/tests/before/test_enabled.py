# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of hypervisor has stored, in its own words, what the groups of its guests ask for."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv8", "ansible://qm2", "ansible://pve2", "ansible://gnt2"]

# Of the guests of both groups, in this order.
WORDS = {
    "hv8": ["<rate bytes='2048' period='500'/>", "<backend model='random'>/dev/random</backend>"],
    "qm2": ['max-bytes = "2048"', 'filename = "/dev/random"'],
    "pve2": [
        "rng0: source=/dev/urandom,period=500,max_bytes=2048",
        "rng0: source=/dev/random,period=1000,max_bytes=0",
    ],
    "gnt2": ["max-bytes=2048,period=500", "filename=/dev/random"],
}


def test_it_is_stored_now_and_was_not_before(host, stored, stored_before):
    for words in WORDS[host.check_output("hostname -s")]:
        assert words in stored
        assert words not in stored_before


def test_an_rng_of_somebody_else_that_suits_stays(host, stored, stored_before):
    theirs = {
        "hv8": "<rate bytes='1024' period='1000'/>",
        "qm2": '[device "vrng0"]',
        "pve2": "rng0: /dev/urandom$\n",
        "gnt2": "id=rng0,",
    }[host.check_output("hostname -s")]
    assert stored.count(theirs) == stored_before.count(theirs) > 0
