# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every converging module, and their way into values."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.module.arguments import CONVERGE_SPEC, Request, parse_requests

LIMIT = 2**32 - 1


def parse(*devices: dict[str, Any]) -> list[Request]:
    result = ArgumentSpecValidator(CONVERGE_SPEC).validate({"devices": list(devices)})
    assert not result.error_messages
    return parse_requests(result.validated_parameters["devices"], LIMIT)


def test_a_guest_alone_gets_the_defaults() -> None:
    assert parse({"guest": "web1"}) == [Request("web1", RngDevice.from_wire({}))]


def test_absent_needs_nothing_else_and_ignores_it() -> None:
    assert parse({"guest": "web1", "state": "absent", "max_bytes": 0}) == [Request("web1")]


def test_the_order_stays() -> None:
    assert [request.guest for request in parse({"guest": "b"}, {"guest": "a"}, {"guest": "c"})] == ["b", "a", "c"]


@pytest.mark.parametrize("value", [0, -1, 1.5, "1k", True, "", 2**32])
def test_a_bad_value_is_an_error_of_its_own_guest(value: object) -> None:
    bad, good = parse({"guest": "bad", "max_bytes": value}, {"guest": "good"})
    assert good.device
    assert bad.device is None
    assert bad.error.startswith(f"max_bytes: {value!r} is not valid; allowed: an integer from 1 to 4294967295")


def test_the_same_entry_twice_is_one_request() -> None:
    assert len(parse({"guest": "web1"}, {"guest": "web1", "max_bytes": "1024"})) == 1


@pytest.mark.parametrize("again", [1, 2, 3])
def test_different_entries_for_one_guest_contradict_each_other(again: int) -> None:
    requests = parse({"guest": "web1"}, *[{"guest": "web1", "state": "absent"}] * again)
    assert requests == [Request("web1", error="is given twice in devices, with different values")]


def test_a_wrong_model_or_state_is_refused_by_the_specification() -> None:
    for wrong in ({"model": "e1000"}, {"state": "latest"}, {"driver": "iommu"}, {"colour": "red"}):
        result = ArgumentSpecValidator(CONVERGE_SPEC).validate({"devices": [{"guest": "web1", **wrong}]})
        assert result.error_messages
