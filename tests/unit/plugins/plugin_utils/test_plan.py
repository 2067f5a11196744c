# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan, by tables of cases/plan, and two explanations word by word in golden.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.converge import Capabilities
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.plugin_utils.plan import Hypervisor, InventoryGuest, Settings, make_plan
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated

FOLDER = Path(__file__).parents[2] / "cases" / "plan"
CASES = [
    case
    for name in ("plan.json", "migration.json", "measured.json")
    for case in json.loads((FOLDER / name).read_text(encoding="utf-8"))
]
GOLDEN = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
HAS_DEFAULT = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}


def guest(name: str, **facts: Any) -> dict[str, Any]:
    """An observed guest that is shut off and has no RNG, unless ``facts`` say otherwise."""
    return {"name": name, "uuid": "", "running": False, "config": [], "live": None, "blocked": {}, **facts}


def observation(*guests: dict[str, Any], kind: str = "libvirt") -> dict[str, Any]:
    return {"changed": False, "host": {"hypervisor": {"kind": kind}}, "guests": list(guests)}


def capabilities(hypervisor: Mapping[str, Any]) -> Capabilities:
    if hypervisor["kind"] != "libvirt":
        raise HypervisorError(f"unknown kind of hypervisor: {hypervisor['kind']}")
    return Capabilities(
        max_bytes=2**32 - 1,
        sources=tuple(hypervisor.get("rng_backends", ("random", "builtin", "egd"))),
        restart=hypervisor.get("restart", False),
    )


def plan(case: Mapping[str, Any]) -> dict[str, Any]:
    """Plan what a case of the tables describes, in its short spelling."""
    hypervisors = []
    for name, host in case["hypervisors"].items():
        seen = host.get("observation", "missing")
        if seen == "missing":
            guests = (guest(given) if isinstance(given, str) else guest(**given) for given in host["guests"])
            seen = observation(*guests)
            seen["host"].update({key: host[key] for key in ("sources",) if key in host})
            seen["host"]["hypervisor"].update(host.get("facts", {}))
        hypervisors.append(Hypervisor(name, host.get("variables", {}), seen, tests=host.get("tests")))
    inventory = [
        InventoryGuest(name, {key: value for key, value in variables.items() if key != "uuid"}, variables.get("uuid"))
        for name, variables in case.get("inventory", {}).items()
    ]
    settings = Settings(capabilities, all_groups=case.get("groups", {}), **case.get("settings", {}))
    hosts = case.get("hosts", list(case["hypervisors"]))
    return make_plan(hosts, hypervisors, inventory, settings, complete=case.get("complete", True))


def differences(found: Any, expected: Any, path: str = "plan") -> list[str]:
    """Where ``found`` lacks what is ``expected``: mappings may have more keys, all else is to be equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        lacking = [f"{path}.{key} is missing" for key in expected if key not in found]
        shared = [key for key in expected if key in found]
        return lacking + [line for key in shared for line in differences(found[key], expected[key], f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for index, pair in pairs for line in differences(*pair, f"{path}[{index}]")]
    return [] if found == expected else [f"{path} is {found!r}, not {expected!r}"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_plan(case: dict[str, Any]) -> None:
    assert differences(plan(case), case["expect"]) == []


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_explanation(case: dict[str, Any]) -> None:
    assert plan(case) == case["plan"]


def test_the_plan_is_json_and_the_observation_stays_as_it_was() -> None:
    for case in CASES:
        before = json.dumps(case)
        assert json.loads(json.dumps(plan(case))) == plan(case)
        assert json.dumps(case) == before


@pytest.mark.parametrize(
    "seen",
    [
        None,
        "text",
        {"skipped": True},
        {"guests": None},
        {"guests": [{}]},
        {"guests": ["web1"]},
        {"guests": [{"name": "web1", "config": 7}]},
        {"guests": [{"name": "web1", "blocked": ["slot"]}]},
    ],
)
def test_a_useless_observation_harms_its_host_only(seen: Any) -> None:
    found = plan({"hypervisors": {"hv1": {"observation": seen}, "hv2": {"guests": ["web1"]}}})
    assert found["hosts"]["hv1"]["error"].startswith("not observed")
    assert found["hosts"]["hv1"]["devices"] == []
    assert [device["guest"] for device in found["hosts"]["hv2"]["devices"]] == ["web1"]


@pytest.mark.parametrize("name", ["{{7*7}}", ";reboot", "5", "-x", "a 'b\"", "\u202eweb", "ü" * 100, "\x1b[2J"])
def test_hostile_names_come_back_as_they_are_and_escaped_in_messages(name: str) -> None:
    found = plan({"hypervisors": {"hv1": {"guests": [name, {"name": name, "uuid": "u1"}]}}, "inventory": {name: {}}})
    host = found["hosts"]["hv1"]
    assert [item["guest"] for item in host["refused"]] == [name, name]
    assert all(item["reason"].isprintable() for item in host["refused"])


def test_each_variable_of_a_host_that_fails_is_a_host_error() -> None:
    for variable in ("host_budget", "host_budget_share", "overrides", "live", "exclusive", "remove"):
        host = {"guests": ["web1"], "variables": {variable: Untemplated("'x' is undefined")}}
        found = plan({"hypervisors": {"hv1": host}})["hosts"]["hv1"]
        assert found["error"] == f"hypervisor hv1: virtio_rng_{variable}: its template failed: 'x' is undefined"
        assert (found["devices"], found["total"]) == ([], 1)


def test_an_equal_device_is_in_sync_on_both_layers() -> None:
    found = plan(
        {"hypervisors": {"hv1": {"guests": [guest("a", running=True, config=[HAS_DEFAULT], live=[HAS_DEFAULT])]}}}
    )["hosts"]["hv1"]
    assert (found["in_sync"], found["devices"]) == (1, [])
    assert found["guests"][0]["reason"] == "already has /dev/urandom, 1024 B / 1000 ms"


GOLD = "egd+unix:/run/virtrngd/gold.sock"


def broker_plan(*, tried: Mapping[str, Any], tests: Any = None, **variables: Any) -> dict[str, Any]:
    """Of two hypervisors that guests may move between; those of the first have the broker's class gold."""
    shared = {"source": "broker", "migration_groups": ["kvm"], **variables}
    first, second = observation(guest("web1"), guest("db1")), observation()
    first["host"]["sources"], second["host"]["sources"] = {"broker": None, GOLD: None}, tried
    found = [
        Hypervisor("hv1", shared, first, tests=tests, sockets=lambda word, name: (GOLD, f"{word} of {name}")),
        Hypervisor("hv2", shared, second),
    ]
    settings = Settings(capabilities, all_groups={"kvm": ["hv1", "hv2"]})
    planned: dict[str, Any] = make_plan(["hv1"], found, [], settings, complete=True)["hosts"]["hv1"]
    return planned


def test_a_guest_on_a_broker_moves_where_its_class_is() -> None:
    assert broker_plan(tried={"broker": None, GOLD: None})["failure"] is None
    reason = broker_plan(tried={"broker": "no broker is there: gone"})["refused"][0]["reason"]
    assert reason == (
        f"guest web1 may move to hv2 (virtio_rng_migration_groups: kvm), where source {GOLD} is not served: "
        "no broker is there: gone; give it another source, or set virtio_rng_migration to warn"
    )


def test_a_measured_budget_is_of_what_the_class_gives() -> None:
    tried = {"broker": None, GOLD: None}
    waiting = broker_plan(tried=tried, host_budget="measured")
    assert (waiting["untested"], waiting["sources"]) == ([GOLD], [GOLD])
    tested = {"sources": [{"source": GOLD, "status": "good", "bytes_per_second": 2048.0}]}
    found = broker_plan(tried=tried, tests=tested, host_budget="measured", max_bytes="unlimited")
    assert (found["untested"], found["budget"]["promised"]) == ([], 1024)
    assert {device["max_bytes"] for device in found["devices"]} == {512}
    assert found["guests"][0]["from"]["source"] == "hypervisor hv1: virtio_rng_source, broker of None"
