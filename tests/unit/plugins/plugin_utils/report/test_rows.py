# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests as CSV: what comes out is what went in, and no cell is a formula."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.rows import COLUMNS, RISKY, guests_csv
from ansible_collections.fleet.rng.tests.fleet.generate import documents
from hypothesis import given
from hypothesis import strategies as st

DOCUMENT = next(documents(1, 1))
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "\uff1d1"]


def rows(*hosts: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(guests_csv(hosts), newline="")))


def with_guest(**changes: Any) -> dict[str, Any]:
    return {**DOCUMENT, "guests": [{**DOCUMENT["guests"][0], **changes}]}


def test_one_line_for_each_guest() -> None:
    hosts = list(documents(15, 10))
    found = rows(*hosts)
    assert [(row["hypervisor"], row["uuid"]) for row in found] == [
        (host["hypervisor"], guest["uuid"]) for host in hosts for guest in host["guests"]
    ]
    assert all(list(row) == list(COLUMNS) for row in found)
    assert guests_csv([]) == ",".join(COLUMNS) + "\r\n"


def test_a_row() -> None:
    device = {"source": "/dev/urandom", "max_bytes": "unlimited", "period": 1000, "model": "virtio", "driver": {}}
    odd = {"source": None, "unknown": "what is this", "alias": None}
    (row,) = rows(
        with_guest(
            name="web1",
            uuid="u",
            inventory=None,
            groups=["guests", "web"],
            running=True,
            state="present",
            wanted={**device, "max_bytes": 1024},
            before={"config": [], "live": []},
            after={"config": [device, device], "live": [odd]},
            outcome={"config": "added", "live": "needs_restart", "changed": True, "reason": "why", "error": None},
            verdict="waiting",
            reason="it waits",
            findings=[{"id": "RNG101"}, {"id": "RNG103"}],
            view={"status": "seen", "kernel": "6.1", "current": "virtio_rng.0", "measured": {"bytes_per_second": 1.5}},
            broker={"guest": "web1", "class": "gold", "bytes": 4096, "requests": 64, "waiting": 0.5},
        )
    )
    assert row == {
        "hypervisor": "hv0000.example.com",
        "guest": "web1",
        "uuid": "u",
        "inventory": "",
        "groups": "guests; web",
        "running": "true",
        "state": "present",
        "wanted_source": "/dev/urandom",
        "wanted_max_bytes": "1024",
        "wanted_period": "1000",
        "config_devices": "2",
        "config_source": "/dev/urandom",
        "config_max_bytes": "unlimited",
        "config_period": "1000",
        "live_devices": "1",
        "live_source": "",
        "live_max_bytes": "",
        "live_period": "",
        "config_outcome": "added",
        "live_outcome": "needs_restart",
        "changed": "true",
        "error": "",
        "verdict": "waiting",
        "reason": "it waits",
        "findings": "RNG101; RNG103",
        "view": "seen",
        "kernel": "6.1",
        "current": "virtio_rng.0",
        "measured_bytes_per_second": "1.5",
        "broker_class": "gold",
        "broker_bytes": "4096",
        "broker_requests": "64",
        "broker_waiting": "0.5",
        "collected": "2026-11-21T12:00:00Z",
        "check_mode": "false",
    }


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_is_a_formula(name: str) -> None:
    (row,) = rows(with_guest(name=name, groups=[name]))
    assert row["guest"] == f"'{name}"
    assert row["groups"] == f"'{name}"


def test_what_is_not_there_is_empty() -> None:
    (row,) = rows(with_guest(wanted=None, view=None, after=None, before={"config": None, "live": None}, verdict=None))
    empty = ("wanted_source", "config_devices", "config_source", "verdict", "view", "measured_bytes_per_second")
    assert [row[column] for column in empty] == [""] * len(empty)


@given(st.one_of(st.text(), st.sampled_from(FORMULAS)), st.text())
def test_any_name_comes_back(name: str, reason: str) -> None:
    (row,) = rows(with_guest(name=name, reason=reason))
    assert (row["guest"].removeprefix("'"), row["reason"].removeprefix("'")) == (name, reason)
    assert not any(cell.startswith(sign) for cell in row.values() for sign in RISKY if sign != "'")
