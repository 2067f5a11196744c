# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running guest sees: never a moment without an RNG, and the rate of the policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from integration.libvirt.hypervisor import Hypervisor, wait_for_rng
from lab import Guest

READER = """
rm -f /tmp/stop /tmp/reads /tmp/errors
while [ ! -e /tmp/stop ]; do
    head -c 16 /dev/hwrng 2>> /tmp/errors | wc -c >> /tmp/reads
done
touch /tmp/stopped
"""


@contextmanager
def reading(guest: Guest) -> Iterator[None]:
    """Draw from /dev/hwrng without a pause; not a single read may fail or come short."""
    guest.agent("guest-exec", path="/bin/sh", arg=["-c", READER])
    guest.run("until [ -s /tmp/reads ]; do sleep 0.1; done")
    yield
    guest.run("touch /tmp/stop; until [ -e /tmp/stopped ]; do sleep 0.1; done")
    reads, errors = (
        guest.run("sort /tmp/reads | uniq -c; echo; rm /tmp/reads"),
        guest.run("cat /tmp/errors; rm /tmp/errors"),
    )
    assert errors == ""
    assert len(reads.split()) == 2, f"count and length of the reads: {reads}"
    assert reads.split()[1] == "16"


@pytest.mark.parametrize("machine", ["runner", "pc"])
def test_replaced_while_the_guest_reads_without_an_error(
    machine: str, hv: Hypervisor, request: pytest.FixtureRequest
) -> None:
    guest: Guest = request.getfixturevalue(machine)
    assert hv.module([{"guest": machine, "max_bytes": "unlimited"}]).statuses(machine) == ("added", "added")
    wait_for_rng(guest)
    with reading(guest):
        for max_bytes in (65536, 131072, "unlimited"):
            done = hv.module([{"guest": machine, "max_bytes": max_bytes}], wait=60)
            assert done.statuses(machine) == ("replaced", "replaced")
            assert hv.counts(machine) == (1, 1)
    assert len(guest.rng_available()) == 1


def test_rate_of_a_running_guest_really_changes(hv: Hypervisor, runner: Guest) -> None:
    for max_bytes, period in ((4096, 500), (512, 1000)):
        cycle = hv.cycle([{"guest": runner.name, "max_bytes": max_bytes, "period": period}], wait=60)
        assert cycle.statuses(runner.name)[1] in ("added", "replaced")
        wait_for_rng(runner)
        drawn = runner.draw(4 * max_bytes, warm_up=max_bytes)
        assert drawn.bytes == 4 * max_bytes
        # The quota is renewed at every tick of a timer: of n whole periods at most n + 1 quotas are seen.
        assert drawn.bytes <= (drawn.seconds * 1000 / period + 1) * max_bytes * 1.1, drawn
        if max_bytes > 512:
            assert drawn.per_second > 1024, f"{drawn}: no faster than the rate that comes next"


def test_absent_takes_the_rng_from_the_running_guest(hv: Hypervisor, runner: Guest) -> None:
    hv.cycle([{"guest": runner.name}])
    wait_for_rng(runner)
    cycle = hv.cycle([{"guest": runner.name, "state": "absent"}], wait=60)
    assert cycle.statuses(runner.name) == ("removed", "removed")
    assert runner.rng_available() == []
