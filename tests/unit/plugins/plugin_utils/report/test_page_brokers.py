# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brokers in the page's words: the state of each, and the classes of all as one tree."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import interpret_broker
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page_brokers, page_facts
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page import render_page
from fleet.generate import documents

STATUS = json.loads((Path(__file__).parents[3] / "cases/kernel_broker/status.json").read_text(encoding="utf-8"))
NOW = 1795003603


def host(name: str = "hv1", now: int = NOW, **changes: Any) -> dict[str, Any]:
    broker = interpret_broker({BROKER: json.dumps({**copy.deepcopy(STATUS), **changes}), "now": str(now)})
    return {"hypervisor": name, "rng": {"broker": broker}}


def sources(*states: str) -> list[dict[str, Any]]:
    return [{**one, "state": state} for one, state in zip(STATUS["sources"], states, strict=True)]


@pytest.mark.parametrize(
    ("given", "state", "why", "source"),
    [
        (host(), "serving", "", "/dev/hwrng"),
        (host(sources=sources("failed", "serving")), "fallback", "/dev/hwrng failed", "getrandom"),
        (host(sources=sources("failed", "missing")), "no source", "/dev/hwrng failed; getrandom missing", "none"),
        (host(guests=[{**STATUS["guests"][0], "waiting": 61.2}]), "guests wait", "the longest for 61 s", "/dev/hwrng"),
        (host(now=NOW + 600), "stale", "not updated for 603 seconds", "unknown"),
        (host(schema="x"), "unreadable", "it is no fleet.rng/broker/1 document", "unknown"),
    ],
)
def test_a_broker_has_one_state(given: dict[str, Any], state: str, why: str, source: str) -> None:
    (one,) = page_brokers.brokers_of([{"hypervisor": "hv0", "rng": None}, {"hypervisor": "hv9", "rng": {}}, given])
    assert (one.host, one.hypervisor, one.state, one.why, one.source) == (2, "hv1", state, why, source)
    assert page_brokers.counts([one]) == {state: 1}


def test_the_worst_come_first() -> None:
    hosts = [host("a"), host("c", now=NOW + 600), host("b", now=NOW + 600), host("d", schema="x")]
    assert [one.hypervisor for one in page_brokers.brokers_of(hosts)] == ["b", "c", "d", "a"]


def test_numbers_of_a_broker() -> None:
    (one,) = page_brokers.brokers_of([host()])
    assert (one.guests, one.waiting, one.served) == (4, 0, 5_242_880)
    (lost,) = page_brokers.brokers_of([host(schema="x")])
    assert (lost.guests, lost.waiting, lost.served) == (None, None, None)


def test_classes_of_all_brokers_are_one_tree() -> None:
    other = copy.deepcopy(STATUS["classes"])
    other[1].update(rate=1024, ceil=None, bytes=0)
    other.append({**other[3], "name": "gold", "parent": "default"} | {"name": "own"})
    found = page_brokers.classes(page_brokers.brokers_of([host(), host("hv2", classes=other)]))
    assert [(one.level, one.name, one.parent, one.brokers) for one in found] == [
        (1, "default", "", 2),
        (2, "own", "default", 1),
        (1, "prod", "", 2),
        (2, "gold", "prod", 2),
        (2, "silver", "prod", 2),
    ]
    gold = found[3]
    assert (gold.rate, gold.ceiling) == ("1 to 3 KiB/s", "8 KiB/s or unlimited")
    assert (gold.counts["clients"], gold.counts["bytes"]) == (4, 4_000_000)
    assert (found[0].rate, found[0].ceiling) == ("64 B/s", "unlimited")
    assert gold.share == 4_000_000 / (2 * 5_242_880)
    assert gold.guaranteed == 4096 / (2 * (4096 + 64))
    assert gold.marks == (381.5, 492.3)


def test_a_class_that_holds_others_has_their_connections() -> None:
    own = {"clients": 9, "waiting": 9}
    rows = [
        {"name": "a", "parent": None, **own},
        {"name": "b", "parent": "a", **own},
        {"name": "c", "parent": "b", "clients": 2, "waiting": 1},
        {"name": "d", "parent": "a", "clients": 3, "waiting": 0},
        {"name": "e", "parent": None, "clients": 1, "waiting": 1},
    ]
    shown = {row["name"]: (row["clients"], row["waiting"]) for row in page_brokers.summed(rows)}
    assert shown == {"a": (5, 1), "b": (2, 1), "c": (2, 1), "d": (3, 0), "e": (1, 1)}
    assert rows[0]["clients"] == 9


def test_without_bytes_there_are_no_shares() -> None:
    idle = [{**one, "bytes": 0} for one in STATUS["classes"]]
    assert {one.share for one in page_brokers.classes(page_brokers.brokers_of([host(classes=idle)]))} == {0.0}
    assert page_brokers.classes([]) == []


def test_a_deep_tree_is_walked_and_indented_so_far() -> None:
    names = [f"c{number:03}" for number in range(900)]
    rows = [{"name": name, "parent": above} for name, above in zip(names, [None, *names[:-1]], strict=True)]
    assert [path[-1] for path, dummy in page_brokers.tree(rows)] == names
    data = {**page_brokers.brokers_of([host()])[0].data, "classes": [{**STATUS["classes"][0], **row} for row in rows]}
    broker = page_brokers.Broker(0, "hv1", "serving", "", data)
    assert max(row[0] for row in page_brokers.columns_of(broker)["classes"]) == page_brokers.DEEPEST
    assert max(one.level for one in page_brokers.classes([broker])) == page_brokers.DEEPEST


def test_the_script_gets_few_guests_of_each() -> None:
    many = [{**STATUS["guests"][1], "guest": f"g{number}"} for number in range(150)]
    (one,) = page_brokers.brokers_of([host(guests=many, guests_total=400)])
    columns = page_brokers.columns_of(one)
    assert (len(columns["served_guests"]), columns["guests"]) == (page_brokers.CLIENTS, 400)
    assert columns["classes"][1] == [2, "prod", "gold", 3072, 8192, 2, 0, 4_000_000, 1024]
    (lost,) = page_brokers.brokers_of([host(schema="x")])
    assert page_brokers.columns_of(lost).keys() == columns.keys()


def page(hosts: list[dict[str, Any]]) -> str:
    whole = {"schema": "fleet.rng/report/1", "generated": "2026-11-21T12:00:00Z", "title": "Fleet", "summary": {}}
    return render_page({**whole, "hosts": hosts})


def test_a_fleet_without_brokers_has_no_section() -> None:
    assert 'id="brokers"' not in page(list(documents(2, 3)))
    assert 'id="brokers"' in page(list(documents(3, 3)))


def test_of_a_broker_that_cannot_be_read_no_number_is_claimed() -> None:
    made = list(documents(3, 3))
    made[2]["rng"]["broker"] = host(schema="x")["rng"]["broker"]
    section = page(made).partition('id="brokers"')[2].partition("</section>")[0]
    assert section.count('<td class="n zero">unknown</td>') == 3
    assert "1 of 3 hypervisors shares" in section
    assert "0 guests are served so" in section
    assert "<h3>Classes</h3>" not in section


def test_every_state_has_its_icon_and_names_are_escaped() -> None:
    made = list(documents(3, 3))
    nasty = "<img src=x onerror=alert(1)>"
    broker = made[2]["rng"]["broker"]
    broker["classes"][0]["name"] = nasty
    broker["classes"] = broker["classes"][:1]
    broker["sources"][0]["source"] = broker["serving"] = nasty
    text = page(made)
    assert nasty not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert all(f'id="i-{state.replace(" ", "-")}"' in text for state in page_brokers.STATES)
    source_states = ("serving", "standby", "starting", "stalled", "failed", "missing")
    assert all(f'id="i-{state}"' in text for state in source_states)


def test_the_words_are_those_of_the_script() -> None:
    words = (Path(page_brokers.__file__).parent / "page_assets/words.js").read_text(encoding="utf-8")
    assert f"const BROKER_STATES = {json.dumps(list(page_brokers.STATES))};" in words
    assert page_facts.amount(0) == "0 B"
