# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected is valid, whatever the names are; and the published files are the schemas that we go by."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Policy
from ansible_collections.fleet.rng.plugins.plugin_utils.report.collect import Inventory, Registered, collect
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import merge
from ansible_collections.fleet.rng.plugins.plugin_utils.report.schema import HOST_SCHEMA, REPORT_SCHEMA
from ansible_collections.fleet.rng.plugins.plugin_utils.sharing import Wanting, share_measured, share_number
from ansible_collections.fleet.rng.tests.fleet.generate import COLLECTED, documents
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[5]
HOST = Draft202012Validator(HOST_SCHEMA)
REPORT = Draft202012Validator(REPORT_SCHEMA)
NOWHERE = "urn:fleet.rng:"


@pytest.mark.parametrize("schema", [HOST_SCHEMA, REPORT_SCHEMA])
def test_the_schemas_are_schemas_and_point_nowhere_else(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith(NOWHERE)
    references = [part.split('"')[0] for part in json.dumps(schema).split('"$ref": "')[1:]]
    assert references
    assert all(one.startswith("#/$defs/") and one.removeprefix("#/$defs/") in schema["$defs"] for one in references)


@pytest.mark.parametrize(("name", "schema"), [("host", HOST_SCHEMA), ("report", REPORT_SCHEMA)])
def test_the_published_files_are_up_to_date(name: str, schema: dict[str, Any]) -> None:
    tool = importlib.util.spec_from_file_location("schemas", ROOT / "tests" / "tools" / "schemas.py")
    assert tool is not None
    assert tool.loader is not None
    module = importlib.util.module_from_spec(tool)
    tool.loader.exec_module(module)
    published = (ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert published == module.text(schema), "run tests/tools/schemas.py"


def test_a_generated_fleet_is_valid_and_uses_every_word() -> None:
    hosts = list(documents(60, 20))
    REPORT.validate(merge(hosts, [], title="", generated=COLLECTED))
    assert list(documents(60, 20)) == hosts
    guests = [guest for host in hosts for guest in host["guests"]]
    properties = HOST_SCHEMA["$defs"]["guest"]["properties"]
    # What is there must be described, or nobody will ever know of it.
    assert {key for guest in guests for key in guest} == set(properties)
    assert {key for host in hosts for key in host} == set(HOST_SCHEMA["properties"])
    assert {guest["verdict"] for guest in guests} >= set(properties["verdict"]["enum"]) - {None}


@pytest.mark.parametrize("measured", [None, 8192.5])
def test_the_budget_of_a_plan_is_valid(measured: float | None) -> None:
    row = share_number("hv1", 5, {}).row
    if measured:
        device = RngDevice(Source("builtin"))
        tests = {"sources": [{"source": "builtin", "status": "good", "bytes_per_second": measured}]}
        row = share_measured("hv1", 50, tests, {0: Wanting(ObservedGuest("a"), Policy("present", device), 2**32)}).row
        assert row["measured"]["sources"]["builtin"]["measured"] == measured
    [document] = documents(1, 1)
    HOST.validate({**document, "budget": row})
    assert not HOST.is_valid({**document, "budget": {**row, "measured": {"sources": {}}}})


def wrong(document: dict[str, Any], *path: Any, value: Any) -> dict[str, Any]:
    """A copy with another value somewhere."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    inner: Any = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "fleet.rng/host/2"),
        (("collected",), "2026-11-21T12:00:00+01:00"),
        (("check_mode",), None),
        (("guests", 0, "state"), "there"),
        (("guests", 0, "verdict"), "good"),
        (("guests", 0, "before"), None),
        (("guests", 0, "wanted", "max_bytes"), 0),
        (("guests", 0, "wanted", "source"), None),
        (("guests", 0, "outcome", "config"), "done"),
        (("guests", 0, "checks", "rate"), {"result": "maybe", "message": ""}),
        (("guests", 0, "view", "via"), "telepathy"),
        (("rng", "findings"), [{"id": "RNG001"}]),
        (("compliance", 0, "result"), "no"),
    ],
)
def test_what_means_nothing_is_not_valid(path: tuple[Any, ...], value: Any) -> None:
    document = next(document for document in documents(3, 20) if document["guests"][0]["wanted"])
    assert HOST.is_valid(document)
    assert not HOST.is_valid(wrong(document, *path, value=value))


texts = st.text(max_size=30)
DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}, "alias": None}
UNKNOWN = {"source": None, "unknown": "what is this", "alias": "rng0"}
layers = st.none() | st.lists(st.sampled_from([DEVICE, UNKNOWN]), max_size=2)
views = st.none() | st.fixed_dictionaries(
    {"status": st.sampled_from(["seen", "timed out"]), "why": st.none() | texts, "driver": st.none() | st.booleans()},
    optional={
        "os": st.none() | st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "name", "version", "kernel"), texts)),
        "rng": st.none()
        | st.fixed_dictionaries(
            {"current": st.none() | texts, "available": st.none() | st.lists(texts), "entropy_avail": st.integers()}
        ),
    },
)
guests = st.builds(
    lambda name, uuid, config, live, view: {
        "name": name,
        "uuid": uuid,
        "running": live is not None,
        "config": config,
        "live": live,
        "guest_view": view,
    },
    texts,
    texts,
    layers,
    layers,
    views,
)
observations = st.one_of(
    st.none(),
    st.fixed_dictionaries({"failed": st.just(True), "msg": texts}),
    st.fixed_dictionaries({"guests": st.lists(guests, max_size=3), "host": st.just({"findings": []})}),
)


@given(texts, st.lists(texts), observations, observations)
def test_any_names_make_a_valid_document(name: str, groups: list[str], first: Any, second: Any) -> None:
    registered = Registered(name, groups, first, None, None, second)
    document = collect(registered, Inventory(), lambda rng: [], collected=COLLECTED, check_mode=False)
    HOST.validate(json.loads(json.dumps(document)))
