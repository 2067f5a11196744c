# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page says of hypervisors."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page_hosts

NOON = "2026-11-21T12:00:00Z"


def seen(*changes: dict[str, Any]) -> page_hosts.Hosts:
    document = {"hypervisor": "hv1", "collected": NOON, "error": None, "kind": None, "version": None}
    return page_hosts.hosts_of([{**document, **change} for change in changes], NOON)


@pytest.mark.parametrize(
    ("collected", "age"),
    [
        (NOON, ""),
        ("2026-11-21T13:00:00Z", ""),  # clocks differ
        ("2026-11-21T11:00:01Z", ""),
        ("2026-11-21T11:00:00Z", "1 hour"),
        ("2026-11-19T12:00:01Z", "47 hours"),
        ("2026-11-19T12:00:00Z", "2 days"),
        ("2023-11-21T12:00:00Z", "1,096 days"),
    ],
)
def test_age(collected: str, age: str) -> None:
    assert page_hosts.age(collected, NOON) == age


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({}, ""),
        ({"error": "gone"}, "not observed"),
        ({"error": "its budget is too small", "kind": "libvirt"}, "not planned"),
    ],
)
def test_an_error_of_one_that_answered_is_about_its_plan(changes: dict[str, Any], trouble: str) -> None:
    [found] = seen(changes).all
    assert found.trouble == trouble


@pytest.mark.parametrize(
    ("rng", "current"),
    [
        ({"current": "tpm-rng-0", "available": ["tpm-rng-0"]}, "tpm-rng-0"),
        ({"current": None, "available": []}, "none"),
        ({"current": None, "available": None}, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_kernel_that_could_not_be_read_has_not_none(rng: dict[str, Any] | None, current: str) -> None:
    assert [host.current for host in seen({"rng": rng}).all] == [current]


def test_columns_that_say_nothing_are_left_out() -> None:
    assert not {"software", "budget", "collected"} & set(seen({}, {}).columns)
    old = "2026-11-20T12:00:00Z"
    found = seen({"kind": "libvirt", "version": "9.0.0"}, {"budget": {"promised": 1}, "collected": old})
    assert {"software", "budget", "collected"} <= set(found.columns)
    assert found.span == ("2026-11-20 12:00", "2026-11-21 12:00")
    assert [host.software for host in found.all] == ["libvirt 9.0.0", ""]


@pytest.mark.parametrize(
    ("modes", "mode"), [((), "done"), ((False,), "done"), ((True, False), "both"), ((True, True), "would")]
)
def test_mode(modes: tuple[bool, ...], mode: str) -> None:
    assert seen(*({"check_mode": one} for one in modes)).mode == mode
