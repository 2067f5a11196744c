# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which value of each variable holds for a guest, and who set it: by the table cases/plan/policy.json."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError, RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import (
    DEFAULTS,
    KNOWN_VARIABLES,
    Layer,
    Override,
    Policy,
    Untemplated,
    budget_share,
    host_budget,
    host_switch,
    parse_overrides,
    resolve,
)

CASES = json.loads((Path(__file__).parents[2] / "cases" / "plan" / "policy.json").read_text(encoding="utf-8"))
LIMIT = 2**32 - 1


def value(data: Any) -> Any:
    """JSON cannot spell a template that failed."""
    return Untemplated(data["untemplated"]) if isinstance(data, dict) and "untemplated" in data else data


def policy(case: dict[str, Any], guest: str = "web1") -> Policy:
    variables = {name: value(given) for name, given in case.get("hypervisor", {}).items()}
    own = {name: value(given) for name, given in case.get("own", {}).items()}
    overrides = parse_overrides("hv1", value(case.get("overrides")))
    return resolve(
        guest, Layer.of_hypervisor("hv1", variables), overrides, Layer.of_guest("web1.example.com", own), LIMIT
    )


def includes(whole: Any, part: Any) -> bool:
    """Whether ``part`` is in ``whole``, where mappings at the top may have more keys."""
    if isinstance(part, dict) and part and isinstance(whole, dict):
        return all(name in whole and whole[name] == part[name] for name in part)
    return bool(whole == part)


@pytest.mark.parametrize("case", [case for case in CASES if "expect" in case], ids=lambda case: case["name"])
def test_policy(case: dict[str, Any]) -> None:
    found = policy(case)
    device = None if found.device is None else found.device.to_wire()
    shown = {**vars(found), "origin": dict(found.origin), "device": device}
    for name, expected in case["expect"].items():
        assert includes(shown[name], expected), f"{name}: {shown[name]}"


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=lambda case: case["name"])
def test_bad_value(case: dict[str, Any]) -> None:
    with pytest.raises(RngError) as caught:
        policy(case)
    assert str(caught.value).startswith(case["error"])


def test_the_table_breaks_every_field() -> None:
    broken = {
        name for name in DEFAULTS for case in CASES if "error" in case and name in case["error"].split(" is not")[0]
    }
    assert broken == set(DEFAULTS)


def test_an_error_has_its_type_and_the_value() -> None:
    with pytest.raises(InvalidValueError) as caught:
        policy({"own": {"period": 0}})
    assert caught.value.variable == "guest web1.example.com: virtio_rng_period"
    assert caught.value.given == 0


@pytest.mark.parametrize("name", ["{{7*7}}", ";reboot", "5", "-x", "a b", "[", "\u202eweb", "x" * 200])
def test_names_of_guests_are_only_text(name: str) -> None:
    assert policy({}, name).device is not None
    assert policy({"overrides": [{"match": "*", "max_bytes": 7}]}, name).device != policy({}, name).device


def test_no_hypervisor_is_named_unescaped() -> None:
    assert Layer.of_hypervisor("hv\x1b[2J", {}).words("state") == "hypervisor hv\\x1b[2J: virtio_rng_state"
    assert Override("[", Layer("", {})).applies_to("[")


@pytest.mark.parametrize(
    ("given", "expected"), [(None, None), ("unlimited", None), (1, 1), ("65536", 65536), (2**63 - 1, 2**63 - 1)]
)
def test_host_budget(given: object, expected: int | None) -> None:
    assert host_budget("hv1", given) == expected


@pytest.mark.parametrize("given", [0, -1, "1k", "", True, 1.5, [], 2**63, "٣"])
def test_bad_host_budget(given: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^hypervisor hv1: virtio_rng_host_budget: .*, or measured$"):
        host_budget("hv1", given)


@pytest.mark.parametrize(("given", "share"), [(None, 50), (1, 1), ("100", 100)])
def test_budget_share(given: object, share: int) -> None:
    assert budget_share("hv1", given) == share


@pytest.mark.parametrize("given", [0, 101, "50 %", True, 0.5])
def test_bad_budget_share(given: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^hypervisor hv1: virtio_rng_host_budget_share: .*, a percentage$"):
        budget_share("hv1", given)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, True), (True, True), ("False", False), ("yes", True), ("off", False)]
)
def test_host_switch(given: object, expected: bool) -> None:
    assert host_switch("hv1", "live", given, True) is expected


@pytest.mark.parametrize("given", ["maybe", "", 2, []])
def test_bad_host_switch(given: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^hypervisor hv1: virtio_rng_live: "):
        host_switch("hv1", "live", given, True)


def test_every_variable_of_the_role_is_known() -> None:
    """Else the role's own defaults would be warned of as misspelt."""
    defaults = Path(__file__).parents[4] / "roles/virtio_rng/defaults/main.yml"
    named = set(re.findall("^(virtio_rng_[a-z_]+):", defaults.read_text(encoding="utf-8"), re.M))
    assert len(named) > 20
    assert named <= set(KNOWN_VARIABLES)


def test_every_variable_of_the_brokers_role_is_known() -> None:
    """What it registers as well, since a plan may follow in the same run."""
    role = Path(__file__).parents[4] / "roles/rng_broker"
    files = [*role.glob("defaults/*.yml"), *role.glob("tasks/*.yml")]
    named = set(re.findall(r"\b(?<!__)(rng_broker_[a-z_]+)\b", "".join(file.read_text("utf-8") for file in files)))
    assert named <= {*KNOWN_VARIABLES, "rng_broker_config"}


def sockets(word: str, guest: str | None) -> tuple[str, str]:
    """Of a broker that has the class gold, where web1 is."""
    if word == "broker" and guest == "both":
        raise RngError("it is in 2 groups")
    if word not in ("broker", "broker:gold"):
        raise InvalidValueError("", word, "broker, or broker:gold")
    return f"egd+unix:/run/virtrngd/{'gold' if guest == 'web1' else 'default'}.sock", f"class of {guest}"


@pytest.mark.parametrize(
    ("hypervisor", "override", "own", "source", "words"),
    [
        ({}, None, ("web1", {"source": "broker"}), "gold", "guest web1: virtio_rng_source, class of web1"),
        ({"source": "broker"}, None, ("web1", {}), "gold", "hypervisor hv1: virtio_rng_source, class of web1"),
        ({"source": "broker"}, None, None, "default", "hypervisor hv1: virtio_rng_source, class of None"),
        ({}, "broker:gold", None, "default", "virtio_rng_overrides[0] of hv1 (match *), class of None"),
    ],
)
def test_a_source_that_asks_for_the_broker(
    hypervisor: dict[str, Any], override: str | None, own: tuple[str, dict[str, Any]] | None, source: str, words: str
) -> None:
    overrides = parse_overrides("hv1", [{"match": "*", "source": override}] if override else [])
    layer = None if own is None else Layer.of_guest(*own)
    policy = resolve("vm-1", Layer.of_hypervisor("hv1", hypervisor), overrides, layer, sockets=sockets)
    assert policy.device is not None
    assert str(policy.device.source) == f"egd+unix:/run/virtrngd/{source}.sock"
    assert policy.origin["source"] == words


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("broker", "guest both: virtio_rng_source: broker: it is in 2 groups"),
        ("broker:none", "guest both: virtio_rng_source: 'broker:none' is not valid; allowed: broker, or broker:gold"),
    ],
)
def test_a_broker_that_cannot_serve_names_the_variable(source: str, message: str) -> None:
    with pytest.raises(RngError) as caught:
        resolve("both", Layer.of_hypervisor("hv1", {}), (), Layer.of_guest("both", {"source": source}), sockets=sockets)
    assert str(caught.value) == message


def test_no_broker_is_asked_for_other_sources_or_for_guests_that_have_no_device() -> None:
    def nobody(word: str, guest: str | None) -> tuple[str, str]:
        raise AssertionError((word, guest))

    for values in ({"source": "/dev/urandom"}, {"source": "broker", "state": "absent"}, {"source": "brokers"}):
        with contextlib.suppress(InvalidValueError):
            resolve("web1", Layer.of_hypervisor("hv1", values), sockets=nobody)
    with pytest.raises(InvalidValueError, match="'broker' is not valid"):
        resolve("web1", Layer.of_hypervisor("hv1", {"source": "broker"}))
