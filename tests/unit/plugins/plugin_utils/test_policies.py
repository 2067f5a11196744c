# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which policies have a name, and the device that stands for it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.policies import named_devices
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Layer

LIMIT = 2**32 - 1
FAST = {"max_bytes": 4096}


def names_and_bytes(hypervisor: dict[str, Any], **groups: list[dict[str, Any]]) -> dict[str, Any]:
    members = {name: [Layer.of_guest("guest", values) for values in guests] for name, guests in groups.items()}
    found = named_devices(Layer.of_hypervisor("hv1", hypervisor), members, LIMIT)
    return {entry["name"]: entry["device"]["max_bytes"] for entry in found}


def test_the_hypervisors_own_policy_is_the_default() -> None:
    assert names_and_bytes({"max_bytes": 512}) == {"default": 512}


def test_a_group_whose_guests_agree_has_a_device() -> None:
    assert names_and_bytes({}, web=[FAST, FAST], db=[{}]) == {"default": 1024, "db": 1024, "web": 4096}


@pytest.mark.parametrize(
    "guests",
    [
        pytest.param([FAST, {}], id="guests that differ"),
        pytest.param([{"state": "absent"}], id="no device wanted"),
        pytest.param([{"state": "unmanaged"}], id="unmanaged"),
        pytest.param([{"max_bytes": "1k"}], id="a bad value"),
    ],
)
def test_a_group_without_one_device_has_none(guests: list[dict[str, Any]]) -> None:
    assert names_and_bytes({}, web=guests) == {"default": 1024}


@pytest.mark.parametrize("name", ["default", "../etc", "a/b", "-x", ".hidden", "a b"])
def test_a_group_whose_name_is_no_file_name_or_is_taken_has_none(name: str) -> None:
    assert names_and_bytes({}, **{name: [FAST]}) == {"default": 1024}


def test_a_hypervisor_with_a_bad_value_leaves_the_groups_that_set_their_own() -> None:
    assert names_and_bytes({"max_bytes": 0}, web=[FAST], db=[{}]) == {"web": 4096}


def test_a_group_whose_guests_share_a_class_of_the_broker_has_its_socket() -> None:
    def sockets(dummy: str, guest: str | None) -> tuple[str, str]:
        return f"egd+unix:/run/virtrngd/{'gold' if guest in ('g1', 'g2') else 'default'}.sock", ""

    groups = {"gold": ["g1", "g2"], "mixed": ["g1", "x1"]}
    members = {name: [Layer.of_guest(guest, {}) for guest in guests] for name, guests in groups.items()}
    found = named_devices(Layer.of_hypervisor("hv1", {"source": "broker"}), members, LIMIT, sockets)
    assert {entry["name"]: entry["device"]["source"] for entry in found} == {
        "default": "egd+unix:/run/virtrngd/default.sock",
        "gold": "egd+unix:/run/virtrngd/gold.sock",
    }
