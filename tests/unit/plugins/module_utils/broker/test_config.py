# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker's configuration: by the table cases/broker/config.json, and with anything at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import (
    ClassConfig,
    ConfigError,
    ListenerConfig,
    SourceConfig,
    parse,
)
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.strategies import anything
from hypothesis import given
from hypothesis import strategies as st

CASES = json.loads((Path(__file__).parents[3] / "cases" / "broker" / "config.json").read_text(encoding="utf-8"))
KEYS = [
    "rate",
    "sources",
    "when_failing",
    "conditioning",
    "accept_entropy",
    "classes",
    "socket_mode",
    "socket_group",
    "clients",
    "clients_per_socket",
    "clients_per_process",
    "control",
    "control_mode",
    "control_group",
    "status_file",
    "metrics_file",
]
CLASS_KEYS = ["name", "parent", "rate", "ceil", "burst", "priority", "sockets", "guests"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_mistakes(case: dict[str, Any]) -> None:
    text = case["config"] if isinstance(case["config"], str) else json.dumps(case["config"])
    if not case["mistakes"]:
        parse(text)
        return
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert list(caught.value.mistakes) == case["mistakes"]
    assert str(caught.value) == "; ".join(case["mistakes"])


def test_an_empty_object_is_a_broker_without_classes() -> None:
    config = parse("{}")
    assert (config.rate, config.classes, config.listeners) == (None, (), ())
    assert config.sources == (SourceConfig("getrandom", "none"),)
    assert (config.when_failing, config.conditioning, config.accept_entropy) == ("fallback", True, False)
    assert (config.socket_mode, config.socket_group) == (0o660, None)
    assert (config.clients, config.clients_per_socket, config.clients_per_process) == (4096, 1024, 16)
    assert (config.control, config.control_mode) == ("/run/virtrngd/control.sock", 0o660)
    assert (config.control_group, config.status_file, config.metrics_file) == (
        None,
        "/run/virtrngd/status.json",
        None,
    )


def test_what_is_said_is_kept() -> None:
    classes = [
        {"name": "gold", "parent": "prod", "rate": 3072, "ceil": 4096, "burst": 1024, "priority": 2},
        {"name": "own", "parent": "prod", "sockets": [], "guests": {"web1": "/g/web1", "db 1": "tcp://[::1]:7001"}},
        {"name": "prod"},
    ]
    given = {
        "rate": 4096,
        "sources": [{"source": "/dev/hwrng"}, {"source": "/dev/ttyRNG", "tests": "none"}, {"source": "/dev/random"}],
        "when_failing": "wait",
        "conditioning": False,
        "accept_entropy": True,
        "classes": classes,
        "socket_mode": "600",
        "socket_group": "kvm",
        "clients": 9,
        "clients_per_socket": 3,
        "clients_per_process": 2,
        "control": "/c",
        "control_mode": "0606",
        "control_group": "adm",
        "status_file": None,
        "metrics_file": "/m",
    }
    assert set(given) == set(KEYS)
    config = parse(json.dumps(given))
    assert [(one.source, one.tests) for one in config.sources] == [
        ("/dev/hwrng", "hardware"),
        ("/dev/ttyRNG", "none"),
        ("/dev/random", "none"),
    ]
    assert config.classes == (
        ClassConfig("gold", "prod", 3072, 4096, 1024, 2, ("/run/virtrngd/gold.sock",), ()),
        ClassConfig("own", "prod", 64, None, 512, 0, (), (("web1", "/g/web1"), ("db 1", "tcp://[::1]:7001"))),
        ClassConfig("prod", None, 3136, None, 512, 0, (), ()),  # what its classes are promised together
    )
    assert config.listeners == (
        ListenerConfig("gold", "/run/virtrngd/gold.sock", None),
        ListenerConfig("own", "/g/web1", "web1"),
        ListenerConfig("own", "tcp://[::1]:7001", "db 1"),
    )
    rest = (config.rate, config.when_failing, config.conditioning, config.accept_entropy, config.clients)
    assert rest == (4096, "wait", False, True, 9)
    assert (config.socket_mode, config.control_mode) == (0o600, 0o606)
    assert (config.clients_per_socket, config.clients_per_process) == (3, 2)
    assert (config.socket_group, config.control_group) == ("kvm", "adm")
    assert (config.control, config.status_file, config.metrics_file) == ("/c", None, "/m")


def test_a_burst_that_is_not_said_follows_the_rate() -> None:
    classes = [{"name": "fast", "rate": 10**6}, {"name": "slow", "rate": 1}, {"name": "said", "rate": 1, "burst": 255}]
    assert [one.burst for one in parse(json.dumps({"classes": classes})).classes] == [50000, 512, 255]


@given(st.one_of(anything, st.dictionaries(st.sampled_from(KEYS), anything)))
def test_anything_is_a_configuration_or_an_error(found: Any) -> None:
    said(found)


@given(st.lists(st.dictionaries(st.sampled_from(CLASS_KEYS), st.one_of(anything, st.sampled_from("abc"))), max_size=4))
def test_any_classes_are_a_tree_or_an_error(classes: list[Any]) -> None:
    said({"classes": classes})


def said(found: Any) -> None:
    """Parse it; a mistake is a line that a terminal can show, whatever was given."""
    mistakes = ()
    try:
        parse(json.dumps(found))
    except ConfigError as error:
        mistakes = error.mistakes or ("",)
    assert all(mistake and mistake.isprintable() for mistake in mistakes)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=6), st.integers(1, 200))
def test_what_is_accepted_can_be_kept(given_classes: list[tuple[int, int]], rate: int) -> None:
    classes = [
        {"name": f"c{number}", "rate": share, **({"parent": f"c{parent}"} if parent < number else {})}
        for number, (parent, share) in enumerate(given_classes)
    ]
    by_name = {one["name"]: one for one in classes}
    promised = {
        name: sum(int(one["rate"]) for one in classes if one.get("parent") == name) for name in (None, *by_name)
    }
    fits = promised[None] <= rate and all(promised[name] <= one["rate"] for name, one in by_name.items())
    try:
        config = parse(json.dumps({"rate": rate, "classes": classes}))
    except ConfigError:
        assert not fits
    else:
        assert fits
        parents = {one.parent for one in config.classes}
        assert {one.class_name for one in config.listeners} == set(by_name) - parents
