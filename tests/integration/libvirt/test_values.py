# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that nobody could have meant are refused while arguments are read, each for its own guest only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from integration.libvirt.hypervisor import Cycle, Hypervisor
from lab import Guest

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "max_bytes_zero": ({"max_bytes": 0}, "max_bytes: 0 is not valid"),
    "max_bytes_negative": ({"max_bytes": -1}, "max_bytes: -1 is not valid"),
    "max_bytes_fraction": ({"max_bytes": 1.5}, "max_bytes: 1.5 is not valid"),
    "max_bytes_with_unit": ({"max_bytes": "1k"}, "max_bytes: '1k' is not valid"),
    "max_bytes_true": ({"max_bytes": True}, "max_bytes: True is not valid"),
    "max_bytes_empty": ({"max_bytes": ""}, "max_bytes: '' is not valid"),
    "max_bytes_2_32": ({"max_bytes": 2**32}, "max_bytes: 4294967296 is not valid"),
    "max_bytes_2_64": ({"max_bytes": 2**64}, "max_bytes: 18446744073709551616 is not valid"),
    "period_zero": ({"period": 0}, "period: 0 is not valid"),
    "period_2_32": ({"period": 2**32}, "period: 4294967296 is not valid"),
    "source_unknown": ({"source": "urandom"}, "source: 'urandom' is not valid"),
    "source_empty": ({"source": ""}, "source: '' is not valid"),
    "source_proc": ({"source": "/proc/self/environ"}, "nothing under /proc"),
    "source_dot_dot": ({"source": "/dev/../dev/urandom"}, "without . or .."),
    "source_trailing_newline": ({"source": "/dev/urandom\n"}, "source: '/dev/urandom\\n' is not valid"),
    "source_egd_without_port": ({"source": "egd+tcp://127.0.0.1"}, "egd+tcp://host:port"),
    "driver_unknown": ({"driver": {"queues": 4}}, "driver: {'queues': 4} is not valid"),
}


@pytest.fixture(scope="module")
def cycle(main: Hypervisor) -> Iterator[Cycle]:
    """All of them and one good guest, in one play."""
    for name in (*BAD, "good"):
        main.define(name, firmware_only=True)
    yield main.cycle([*({"guest": name, **BAD[name][0]} for name in BAD), {"guest": "good"}])
    main.forget()


@pytest.mark.parametrize("name", BAD)
def test_refused_for_its_guest_alone(name: str, cycle: Cycle, main: Hypervisor) -> None:
    main.assert_refused(name, BAD[name][1], cycle.applied)


def test_the_good_guest_is_served_and_the_task_says_who_was_not(cycle: Cycle, main: Hypervisor) -> None:
    assert cycle.applied.failed
    assert cycle.applied.msg.startswith(f"{len(BAD)} of {len(BAD) + 1} guests failed: ")
    assert cycle.statuses("good") == ("added", "not_applicable")
    assert cycle.again.statuses("good") == ("unchanged", "not_applicable")
    assert main.counts("good") == (1, None)


@pytest.mark.parametrize(
    "entry",
    [{"state": "gone"}, {"model": "rtl8139"}, {"driver": [1]}, {"rate": 5}],
    ids=lambda entry: next(iter(entry)),
)
def test_what_the_argument_spec_refuses_stops_the_task_before_it_begins(entry: dict[str, Any], hv: Hypervisor) -> None:
    hv.define("other", firmware_only=True)
    done = hv.converge([{"guest": "other"}, {"guest": "good", **entry}])
    assert done.failed
    assert next(iter(entry)) in done.msg
    assert hv.counts("other") == (0, None)


def test_a_guest_that_is_given_twice_with_different_values(hv: Hypervisor, other: Guest) -> None:
    hv.define("twice")
    cycle = hv.cycle([{"guest": "twice"}, {"guest": "twice", "max_bytes": 1}, {"guest": other.name}])
    assert "given twice" in cycle.applied.guest("twice")["error"]
    assert cycle.statuses(other.name) == ("added", "not_applicable")
    assert hv.counts("twice") == (0, None)
