# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The new rate has reached the guests while they ran, and none was without an RNG for a moment."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hv2", "ansible://hv3"]

RATES = {
    # web1 follows its group; the others are of no group that changed
    "hv2": {"web1": "8192", "db1": "2048", "tmp-build7": "512"},
    # 2560 bytes a second: batch1 has the most that its policy allows, and web2 all the rest
    "hv3": {"web2": "1536", "batch1": "1024"},
}
READERS = {"hv2": "web1", "hv3": "web2"}


@pytest.mark.parametrize("inactive", [False, True], ids=["running", "after a restart"])
def test_rates_have_changed(host, guest, inactive):
    wanted = RATES[host.check_output("hostname")]
    found = {name: [rng["bytes"] for rng in guest(name).rngs(inactive=inactive)] for name in wanted}
    assert found == {name: [rate] for name, rate in wanted.items()}


def test_reader_in_the_guest_saw_no_gap(host, guest):
    reader = guest(READERS[host.check_output("hostname")])
    assert reader.rng_current() == "virtio_rng.1"  # the new device: the old one is gone
    reads = int(reader.run("wc -l < /tmp/reads"))
    assert reads > 0
    assert reader.run("cat /tmp/gaps 2>/dev/null | wc -l").strip() == "0"
    # and it still reads
    reader.run(f"until [ $(wc -l < /tmp/reads) -gt {reads} ]; do sleep 0.1; done")
