# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values: which are good, how they are spelled, and what is said about the bad ones (tables in cases/device)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import (
    DRIVER_OPTIONS,
    MODELS,
    Rate,
    RngDevice,
    Source,
    parse_driver,
)
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils import strategies
from hypothesis import given
from hypothesis import strategies as st

CASES = Path(__file__).parents[2] / "cases" / "device"
LIMIT = strategies.LIBVIRT_LIMIT


def load(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", load("sources")["good"], ids=lambda case: case["text"])
def test_good_source(case: dict[str, Any]) -> None:
    fields = {name: value for name, value in case.items() if name not in ("text", "canonical")}
    source = Source.parse(case["text"])
    assert source == Source(**fields)
    assert str(source) == case.get("canonical", case["text"])


@pytest.mark.parametrize("text", load("sources")["bad"], ids=ascii)
def test_bad_source(text: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Source.parse(text)
    assert caught.value.variable == "source"
    assert caught.value.given == text


def test_a_source_has_a_reasonable_length() -> None:
    assert Source.parse("/dev/" + "x" * 1019)
    with pytest.raises(InvalidValueError) as caught:
        Source.parse("/dev/" + "x" * 1020)
    assert len(str(caught.value)) < 400, "what was given is shown in part"


@pytest.mark.parametrize("case", load("rates")["good"], ids=str)
def test_good_rate(case: dict[str, Any]) -> None:
    assert Rate.parse(case["max_bytes"], case["period"], LIMIT) == Rate(*case["rate"])


@pytest.mark.parametrize("value", load("rates")["bad_max_bytes"], ids=ascii)
def test_bad_max_bytes(value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Rate.parse(value, 1000, LIMIT)
    assert caught.value.variable == "max_bytes"


@pytest.mark.parametrize("value", load("rates")["bad_period"], ids=ascii)
def test_bad_period(value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Rate.parse(1024, value, LIMIT)
    assert caught.value.variable == "period"


@pytest.mark.parametrize("case", load("errors"), ids=lambda case: str(case["device"]))
def test_an_error_names_the_variable_what_was_given_and_what_is_allowed(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError) as caught:
        RngDevice.from_wire(case["device"], LIMIT)
    assert str(caught.value) == case["text"]
    assert caught.value.variable == case["variable"]


def test_missing_and_null_mean_default() -> None:
    expected = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}
    assert RngDevice.from_wire({}).to_wire() == expected
    assert RngDevice.from_wire(dict.fromkeys(expected)).to_wire() == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"max_bytes": "2048", "period": "500"}, {"max_bytes": 2048, "period": 500}),
        ({"max_bytes": "unlimited", "period": 5}, {"max_bytes": "unlimited", "period": 7}),
        ({"driver": {"iommu": "on", "ats": "no"}}, {"driver": {"ats": False, "iommu": True}}),
        ({"driver": {"iommu": None}}, {"driver": {}}),
        ({"source": "egd+tcp://HOST:1"}, {"source": "egd+tcp://host:1"}),
    ],
)
def test_devices_that_behave_alike_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert RngDevice.from_wire(one) == RngDevice.from_wire(other)
    assert len({RngDevice.from_wire(one), RngDevice.from_wire(other)}) == 1


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        ({}, "/dev/urandom, 1024 B / 1000 ms"),
        ({"source": "builtin", "max_bytes": "unlimited"}, "builtin, unlimited"),
        (
            {"model": "virtio-transitional", "driver": {"packed": True, "ats": False}},
            "/dev/urandom, 1024 B / 1000 ms, virtio-transitional, ats=off, packed=on",
        ),
    ],
)
def test_a_device_in_words(device: dict[str, Any], shown: str) -> None:
    assert str(RngDevice.from_wire(device)) == shown


def test_bytes_per_second() -> None:
    assert Rate(1024, 1000).bytes_per_second == 1024
    assert Rate(1024, 500).bytes_per_second == 2048
    assert Rate().bytes_per_second is None


@pytest.mark.parametrize("name", DRIVER_OPTIONS)
@pytest.mark.parametrize("word", ["on", "yes", "true", True])
def test_every_driver_option_can_be_switched_on(name: str, word: object) -> None:
    assert parse_driver({name: word}) == ((name, True),)


@pytest.mark.parametrize("word", ["off", "no", "false", False])
def test_a_driver_option_can_be_switched_off(word: object) -> None:
    assert parse_driver({"ats": word}) == (("ats", False),)


def test_values_are_frozen() -> None:
    for value in (Source("builtin"), Rate(), RngDevice(Source("builtin"))):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.__setattr__(dataclasses.fields(value)[0].name, None)


@given(strategies.devices)
def test_a_device_survives_the_wire(device: RngDevice) -> None:
    wire = json.loads(json.dumps(device.to_wire()))
    assert RngDevice.from_wire(wire, LIMIT) == device


@given(strategies.sources)
def test_a_source_survives_its_spelling(source: Source) -> None:
    assert Source.parse(str(source)) == source


@given(
    st.builds(str.__add__, st.sampled_from(["", "/dev/", "egd+unix:/", "egd+tcp://"]), st.text()) | strategies.anything
)
def test_whatever_a_source_is_it_parses_or_is_refused(text: object) -> None:
    try:
        source = Source.parse(text)
    except InvalidValueError:
        return  # and nothing else
    assert Source.parse(str(source)) == source
    assert str(source).encode()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "source": strategies.anything | st.just("builtin"),
            "max_bytes": strategies.anything,
            "period": strategies.anything,
            "model": strategies.anything | st.sampled_from(MODELS),
            "driver": strategies.anything | st.dictionaries(st.sampled_from(DRIVER_OPTIONS), strategies.anything),
        },
    )
)
def test_whatever_a_device_is_it_parses_or_is_refused(data: dict[str, Any]) -> None:
    try:
        device = RngDevice.from_wire(data, LIMIT)
    except InvalidValueError:
        return  # and nothing else
    assert RngDevice.from_wire(device.to_wire(), LIMIT) == device
