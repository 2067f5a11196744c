# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document, and its metrics as two real parsers read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import status
from ansible_collections.fleet.rng.plugins.module_utils.broker.status import (
    ClassState,
    ClientState,
    DaemonState,
    document,
    encoded,
    openmetrics,
)
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

DAEMON = DaemonState("0.1.0", 4711, 1795262400.1234, 3, 4096, 5, 6, "0af1")
GETRANDOM = {"source": "getrandom", "state": "serving", "why": None, "bytes": 1000, "failures": 0, "health": "none"}
HWRNG = {"source": "/dev/hwrng", "state": "failed", "why": "repeats itself\n", "bytes": 64, "failures": 2}
PROD = ClassState("prod", None, 3072, None, 512, 0)
GOLD = ClassState("gold", "prod", 1024, 2048, 512, 1, 2, 1, 640, 10, 3, 64, ("/run/virtrngd/gold.sock",))


def client(guest: str = "web1", **changes: Any) -> ClientState:
    return ClientState(guest, "gold", 7, 64055, 640, 10, 3, None)._replace(**changes)


def made(*clients: ClientState, sources: Any = (GETRANDOM, HWRNG), most_guests: int = status.MOST_GUESTS) -> Any:
    return document(DAEMON, sources, [PROD, GOLD], clients, 1795262500.98765, 100.0, most_guests)


def test_the_whole_document() -> None:
    assert made(client(waiting_since=98.75)) == {
        "schema": "fleet.rng/broker/1",
        "version": "0.1.0",
        "pid": 4711,
        "started": 1795262400.123,
        "updated": 1795262500.988,
        "restarts": 3,
        "configuration": "0af1",
        "rate": 4096,
        "clients": 1,
        "refused": 5,
        "protocol_errors": 6,
        "sources": [
            {"source": "getrandom", "state": "serving", "why": None, "bytes": 1000, "failures": 0},
            {"source": "/dev/hwrng", "state": "failed", "why": "repeats itself\\x0a", "bytes": 64, "failures": 2},
        ],
        "classes": [
            {
                "name": "prod",
                "parent": None,
                "rate": 3072,
                "ceil": None,
                "burst": 512,
                "priority": 0,
                "clients": 0,
                "waiting": 0,
                "bytes": 0,
                "requests": 0,
                "waits": 0,
                "borrowed": 0,
                "sockets": [],
            },
            {
                "name": "gold",
                "parent": "prod",
                "rate": 1024,
                "ceil": 2048,
                "burst": 512,
                "priority": 1,
                "clients": 2,
                "waiting": 1,
                "bytes": 640,
                "requests": 10,
                "waits": 3,
                "borrowed": 64,
                "sockets": ["/run/virtrngd/gold.sock"],
            },
        ],
        "guests": [
            {
                "guest": "web1",
                "class": "gold",
                "pid": 7,
                "uid": 64055,
                "bytes": 640,
                "requests": 10,
                "waits": 3,
                "waiting": 1.25,
            }
        ],
        "guests_total": 1,
    }


def test_those_that_wait_longest_come_first_and_then_those_that_got_most() -> None:
    clients = [
        client("idle", bytes=0),
        client("busy", bytes=9000),
        client("late", waiting_since=99.0),
        client("later", waiting_since=10.0),
        client("now", waiting_since=100.0),
        client("ahead of the clock", waiting_since=100.5, bytes=0),
    ]
    shown = made(*clients)
    order = ["later", "late", "now", "ahead of the clock", "busy", "idle"]
    assert [guest["guest"] for guest in shown["guests"]] == order
    assert [guest["waiting"] for guest in shown["guests"]] == [90.0, 1.0, 0.0, 0.0, None, None]
    shorter = made(*clients, most_guests=3)
    assert [guest["guest"] for guest in shorter["guests"]] == order[:3]
    assert shorter["guests_total"] == 6
    assert shorter["clients"] == 6


def test_the_connections_of_one_guest_are_added_up() -> None:
    shown = made(client(), client(waiting_since=99.0), client(waiting_since=97.0), client(pid=8), client())
    assert [(one["pid"], one["bytes"], one["requests"], one["waits"], one["waiting"]) for one in shown["guests"]] == [
        (7, 2560, 40, 12, 3.0),
        (8, 640, 10, 3, None),
    ]
    assert (shown["clients"], shown["guests_total"]) == (5, 2)


def test_names_are_printable_and_cut() -> None:
    shown = made(client("\x1b[2J" + "x" * 500))["guests"][0]["guest"]
    assert shown.startswith("\\x1b[2Jxxx")
    assert len(shown) == 100


def test_json_is_one_line_that_reads_back() -> None:
    found = made(client("w\u00e9b"))
    assert json.loads(encoded(found)) == found
    assert encoded(found).count("\n") == 1


@pytest.mark.parametrize("limit", [2000, 5000, 40000, 10**6])
def test_a_limit_takes_guests_away_from_the_end(limit: int) -> None:
    found = made(*(client(f"\u4e2d{number}" * 20, bytes=10**6 - number) for number in range(200)))
    text = encoded(found, limit)
    shorter = json.loads(text)
    assert len(text.encode()) <= limit
    assert shorter["guests"] == found["guests"][: len(shorter["guests"])]
    assert {**shorter, "guests": 0} == {**found, "guests": 0}
    assert len(shorter["guests"]) == 200 or len(text.encode()) * 2 > limit


def test_a_file_without_guests_that_is_still_too_long_loses_its_lists_of_sockets() -> None:
    gold = ClassState("gold", None, 1, None, 255, 0, sockets=tuple(f"/run/virtrngd/{n}.sock" for n in range(3000)))
    found = document(DAEMON, [], [gold], [client()], 0, 0)
    shorter = json.loads(encoded(found, status.FILE_LIMIT))
    assert shorter["guests"] == []
    assert shorter["classes"][0]["sockets"] == []
    assert len(found["classes"][0]["sockets"]) == 3000


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Samples:
    """All samples; both parsers have to find the same ones."""
    families = list(parse_openmetrics(text))
    openmetrics = [sample for family in families for sample in family.samples]
    prometheus = [sample for family in parse_prometheus(text) for sample in family.samples]
    assert [(one.name, one.labels, one.value) for one in openmetrics] == [
        (one.name, one.labels, one.value) for one in prometheus
    ]
    found = {(one.name.removeprefix("virtrngd_"), tuple(one.labels.items())): one.value for one in openmetrics}
    assert len(found) == len(openmetrics)
    return found


def test_the_metrics() -> None:
    gold = (("class", "gold"), ("parent", "prod"))
    prod = (("class", "prod"), ("parent", ""))
    web1 = (("guest", "web1"), ("class", "gold"))
    hwrng, getrandom = (("source", "/dev/hwrng"),), (("source", "getrandom"),)
    assert read(openmetrics(made(client(waiting_since=98.75)))) == {
        ("info", (("version", "0.1.0"),)): 1,
        ("start_time_seconds", ()): 1795262400.123,
        ("last_update_timestamp_seconds", ()): 1795262500.988,
        ("restarts_total", ()): 3,
        ("rate_bytes_per_second", ()): 4096,
        ("clients", ()): 1,
        ("refused_total", ()): 5,
        ("protocol_errors_total", ()): 6,
        ("source_up", getrandom): 1,
        ("source_up", hwrng): 0,
        ("source_serving", getrandom): 1,
        ("source_serving", hwrng): 0,
        **{("source_state", (*getrandom, ("state", one))): one == "serving" for one in status.STATES},
        **{("source_state", (*hwrng, ("state", one))): one == "failed" for one in status.STATES},
        ("source_bytes_total", getrandom): 1000,
        ("source_bytes_total", hwrng): 64,
        ("source_failures_total", getrandom): 0,
        ("source_failures_total", hwrng): 2,
        ("class_rate_bytes_per_second", prod): 3072,
        ("class_rate_bytes_per_second", gold): 1024,
        ("class_ceiling_bytes_per_second", prod): float("inf"),
        ("class_ceiling_bytes_per_second", gold): 2048,
        **{(f"class_{name}", prod): 0 for name in ("clients", "waiting", "bytes_total", "borrowed_bytes_total")},
        ("class_requests_total", prod): 0,
        ("class_waits_total", prod): 0,
        ("class_clients", gold): 2,
        ("class_waiting", gold): 1,
        ("class_bytes_total", gold): 640,
        ("class_borrowed_bytes_total", gold): 64,
        ("class_requests_total", gold): 10,
        ("class_waits_total", gold): 3,
        ("guests_unlisted", ()): 0,
        ("guest_bytes_total", web1): 640,
        ("guest_requests_total", web1): 10,
        ("guest_waits_total", web1): 3,
        ("guest_waiting_seconds", web1): 1.25,
    }


def test_counters_and_units_are_declared() -> None:
    families = {family.name: family for family in parse_openmetrics(openmetrics(made(client())))}
    kinds = {name.removeprefix("virtrngd_"): (one.type, one.unit) for name, one in families.items()}
    assert kinds["class_bytes"] == ("counter", "bytes")
    assert kinds["refused"] == ("counter", "")
    assert kinds["class_rate_bytes_per_second"] == ("gauge", "bytes_per_second")
    assert kinds["last_update_timestamp_seconds"] == ("gauge", "seconds")
    assert kinds["guest_waiting_seconds"] == ("gauge", "seconds")
    assert all(one.documentation.endswith(".") for one in families.values())


def test_processes_with_one_name_are_one_series() -> None:
    found = read(openmetrics(made(client(), client(pid=8, waiting_since=90.0), client(pid=9), client("b"))))
    web1 = (("guest", "web1"), ("class", "gold"))
    assert found["guest_bytes_total", web1] == 1920
    assert found["guest_waiting_seconds", web1] == 10


def test_no_limit_is_infinite_and_guests_without_samples_are_counted() -> None:
    unlimited = document(DaemonState("1", 1, 0.0), [], [], [client("a"), client("b")], 0, 0, most_guests=1)
    found = read(openmetrics(unlimited))
    assert found["rate_bytes_per_second", ()] == float("inf")
    assert found["guests_unlisted", ()] == 1


@given(st.lists(st.text(), max_size=4), st.text())
def test_any_name_gives_a_text_that_parses(names: list[str], why: str) -> None:
    found = made(*map(client, names), sources=[{**HWRNG, "source": why, "why": why}])
    assert len(read(openmetrics(found))) >= 20
    assert json.loads(encoded(found)) == found
