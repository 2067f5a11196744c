# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's configuration: what is in it, that its own code takes it, and who would be served."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import parse
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import Classes, socket_of
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_config import configuration, served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = json.loads((Path(__file__).parents[2] / "cases" / "broker" / "classes.json").read_text(encoding="utf-8"))
CASE = CASES[1]  # guests, with gold and silver in it
Make = Callable[[Mapping[str, Any]], Classes]


def test_the_configuration(classes: Make) -> None:
    settings = {
        "sources": ["/dev/hwrng", {"source": "getrandom", "tests": "none"}],
        "clients": 5,
        "socket_group": None,
        "metrics_file": "",
    }
    made = configuration(classes(CASE), settings, {"gold": 2})
    assert made.config == {
        "rate": "unlimited",
        "sources": [{"source": "/dev/hwrng"}, {"source": "getrandom", "tests": "none"}],
        "clients": 5,
        "classes": [
            {"name": "default", "parent": None, "rate": 64, "sockets": ["/run/virtrngd/default.sock"]},
            {"name": "gold", "parent": "guests", "rate": 3072, "sockets": ["/run/virtrngd/gold.sock"]},
            {"name": "guests", "parent": None, "rate": 4160},
            {"name": "silver", "parent": "guests", "rate": 1024, "sockets": ["/run/virtrngd/silver.sock"]},
            {"name": "guests.own", "parent": "guests", "rate": 64, "sockets": ["/run/virtrngd/guests.own.sock"]},
        ],
    }
    assert json.loads(made.text) == made.config
    assert made.text.endswith("}\n")
    assert made.text == configuration(classes(CASE), settings, {}).text
    assert made.classes[1] == {
        "name": "gold",
        "group": "gold",
        "parent": "guests",
        "rate": 3072,
        "ceil": "unlimited",
        "burst": 512,
        "priority": 0,
        "socket": "/run/virtrngd/gold.sock",
        "guests": 2,
    }
    assert [(row["group"], row["socket"] is None) for row in made.classes] == [
        (None, False),
        ("gold", False),
        ("guests", True),
        ("silver", False),
        (None, False),
    ]


def test_optional_parts_and_the_rate_of_the_host(classes: Make) -> None:
    case = {
        "host": {"rate": 5000, "classes": {"gold": {"ceil": 4000, "burst": 2000, "priority": 1}}},
        "groups": {"gold": {"rate": 3000}},
        "guests": {},
    }
    made = configuration(classes(case), {}, {})
    assert made.config["rate"] == 5000
    gold = made.config["classes"][1]
    assert (gold["ceil"], gold["burst"], gold["priority"]) == (4000, 2000, 1)
    assert [made.classes[1][key] for key in ("ceil", "burst", "priority")] == [4000, 2000, 1]


@pytest.mark.parametrize("case", [case for case in CASES if "rates" in case], ids=lambda case: case["name"])
def test_the_daemon_takes_what_is_made(case: Mapping[str, Any], classes: Make) -> None:
    found = classes(case)
    config = parse(configuration(found, {}, {}).text)
    assert {one.name: one.parent for one in config.classes} == {one.name: one.parent for one in found.classes.values()}
    assert {one.class_name for one in config.listeners} == {name for name in found.classes if not found.children(name)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sources": ["hwrng"]}, "hwrng"),
        ({"sources": []}, "at least one source"),
        ({"socket_mode": "rw"}, "octal mode"),
        ({"clients": 0}, "clients"),
    ],
)
def test_what_the_daemon_would_not_take_is_refused_here(settings: Mapping[str, Any], words: str, classes: Make) -> None:
    with pytest.raises(RngError, match=f"^hypervisor hv1: the broker's configuration: .*{words}"):
        configuration(classes(CASE), settings, {})


def test_guests_are_counted_where_the_policy_would_put_them(classes: Make) -> None:
    found = classes(CASES[0])
    guests: dict[str, dict[str, Any]] = {
        "g1": {"source": "broker"},
        "g2": {},
        "s1": {"source": "broker:gold"},
        "o1": {"source": "/dev/urandom"},
        "stranger": {"source": "broker:unknown"},
        "gone": {"source": "broker", "state": "absent"},
    }
    assert served(found, {}, guests) == {"gold": 2}
    assert served(found, {"source": "broker"}, guests) == {"gold": 3}
    overrides = [{"match": "g2", "source": "broker:silver"}]
    assert served(found, {"overrides": overrides}, guests) == {"gold": 2, "silver": 1}
    assert served(found, {"source": "broker", "overrides": "nonsense"}, guests) == {"gold": 3}


NAMES = [f"g{number}" for number in range(6)]
RATES = st.one_of(st.none(), st.integers(1, 5000), st.just("1024"))


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """Groups of which each may hold later ones, guests anywhere, and a hypervisor that may override some."""
    groups: dict[str, Any] = {}
    for number, name in enumerate(NAMES):
        above = draw(st.lists(st.sampled_from(NAMES[:number]), max_size=2, unique=True)) if number else []
        hosts = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=2, unique=True))
        groups[name] = {"in": above, "hosts": hosts, "rate": draw(RATES)}
        if draw(st.booleans()):
            groups[name]["source"] = draw(st.sampled_from(["broker", f"broker:{NAMES[-1]}", "/dev/urandom"]))
    words = st.sampled_from([None, "broker", "broker:g0", "broker:g5", "broker:extra", "/dev/hwrng"])
    entries = st.dictionaries(st.sampled_from([*NAMES[:2], "default", "extra"]), st.just({"rate": 70}), max_size=2)
    host = {"rate": draw(st.sampled_from([None, "unlimited", 10**6])), "classes": draw(entries)}
    return {"groups": groups, "guests": {name: draw(words) for name in "abcd"}, "host": host}


@given(case=inventories())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_groups_every_guest_with_a_class_has_a_socket(case: dict[str, Any], classes: Make) -> None:
    found, refused = classes(case), ""
    try:
        made = configuration(found, {}, {})
    except RngError as error:
        refused = str(error)
    assert not refused.startswith("hypervisor hv1: the broker's configuration"), "it is told in the inventory's words"
    if refused:
        return
    addresses = {one.address for one in parse(made.text).listeners}
    for guest, word in case["guests"].items():
        if word in ("broker", "broker:g0", "broker:g5"):
            with contextlib.suppress(RngError):  # a guest in two classes
                assert socket_of(found.leaf(word, guest)[0]) in addresses


def test_most_of_these_inventories_are_good(classes: Make) -> None:
    """Else the test above would test nothing."""
    good = 0

    @given(case=inventories())
    @settings(max_examples=100)
    def count(case: dict[str, Any]) -> None:
        nonlocal good
        with contextlib.suppress(RngError):
            configuration(classes(case), {}, {})
            good += 1

    count()
    assert good > 25
