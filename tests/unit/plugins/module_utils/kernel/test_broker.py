# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker's status file -> ``rng.broker``: what is right passes, everything else is named and never raises."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import status
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import (
    CUT_OFF,
    KEYS,
    MOST_GUESTS,
    SERVING,
    STANDBY,
    STARTING,
    interpret_broker,
    served_by,
    waiting_long,
)
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER, BROKER_LIMIT
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from hypothesis import given
from hypothesis import strategies as st

STATUS = json.loads((Path(__file__).parents[3] / "cases/kernel_broker/status.json").read_text(encoding="utf-8"))
UPDATED = 1795003600


def seen(document: Any, now: int | None = UPDATED + 3) -> dict[str, Any]:
    text = document if isinstance(document, str) else json.dumps(document)
    clock = {} if now is None else {"now": str(now)}
    broker = interpret({BROKER: text, **clock})["broker"]
    assert isinstance(broker, dict)
    assert tuple(broker) == KEYS
    return broker


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one value replaced; ``path`` as in the messages. ``...`` takes the key away."""
    document = copy.deepcopy(STATUS)
    *steps, last = [
        int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")
    ]
    place: Any = document
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def test_a_running_broker_is_shown_as_it_says() -> None:
    broker = seen(STATUS)
    assert (broker["status"], broker["why"], broker["age"]) == ("running", None, 3)
    assert (broker["serving"], broker["waiting_long"]) == ("/dev/hwrng", 0)
    assert {key: broker[key] for key in STATUS if key != "schema"} == {k: v for k, v in STATUS.items() if k != "schema"}


def test_where_there_is_no_broker_there_is_none() -> None:
    assert interpret({})["broker"] is None


@pytest.mark.parametrize(
    ("now", "status", "why"),
    [
        (UPDATED + 60, "running", None),
        (UPDATED + 61, "stale", "not updated for 61 seconds"),
        (UPDATED - 60, "running", None),
        (UPDATED - 3600, "stale", "last updated 3600 seconds ahead of the machine's clock"),
        (None, "running", None),
    ],
)
def test_a_broker_that_writes_no_more_is_stale_by_the_clock_of_its_machine(
    now: int | None, status: str, why: str | None
) -> None:
    broker = seen(STATUS, now)
    assert (broker["status"], broker["why"]) == (status, why)
    assert broker["classes"] == STATUS["classes"]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("{", "it is not JSON: "),
        ("[" * 60000, "it is nested too deeply"),
        ("NaN", "it is not JSON: NaN is no number"),
        ("7", "it is no fleet.rng/broker/1 document"),
        ({"schema": "fleet.rng/broker/2"}, "it is no fleet.rng/broker/1 document"),
        ({"schema": "fleet.rng/broker/1"}, "it has no version"),
        (" " * (BROKER_LIMIT + 1), "it is larger than 65536 bytes"),
        (changed("pid", "1"), "pid is '1', and has to be a count"),
        (changed("pid", -1), "pid is -1, and has to be a count"),
        (changed("pid", True), "pid is True, and has to be a count"),
        (changed("pid", 2**63), "pid is 9223372036854775808, and has to be a count"),
        (changed("started", None), "started is None, and has to be a number that is not negative"),
        (changed("updated", -0.5), "updated is -0.5, and has to be a number"),
        (json.dumps(STATUS).replace("1795003600.5", "1e999"), "updated is inf, and has to be a number"),
        (changed("version", 1), "version is 1, and has to be a text"),
        (changed("sources", {}), "sources is {}, and has to be a list"),
        (changed("sources[1]", "getrandom"), "sources[1] is 'getrandom', and has to be an object"),
        (changed("sources[0].why", 5), "sources[0].why is 5, and has to be a text"),
        (changed("classes[1].sockets", ["/a", 1]), "classes[1].sockets[1] is 1, and has to be a text"),
        (changed("classes[0].rate", None), "classes[0].rate is None, and has to be a count"),
        (changed("guests[0].waiting", "long"), "guests[0].waiting is 'long', and has to be a number"),
        (changed("guests[2].class", ...), "guests[2] has no class"),
        (changed("classes[1].parent", "nobody"), "the class gold is below nobody, which is not there"),
        (changed("classes[0].parent", "prod"), "the class prod is below prod, which is below it"),
        (changed("classes[0].parent", "gold"), "the class gold is below prod, which is below it"),
        (changed("classes[3].name", "gold"), "two classes are called gold"),
        (changed("pid", "\x1b[2J" * 40), r"pid is '\x1b[2J\x1b[2J"),
    ],
)
def test_a_wrong_document_is_unreadable_and_says_why(document: Any, why: str) -> None:
    broker = seen(document)
    assert broker["status"] == "unreadable"
    assert why in broker["why"]
    assert broker["why"].isprintable()
    assert len(broker["why"]) <= 200
    assert (broker["guests"], broker["classes"], broker["pid"]) == ([], [], None)


def test_what_is_no_file_is_unreadable() -> None:
    broker = interpret({"!" + BROKER: "not a regular file"})["broker"]
    assert (broker["status"], broker["why"]) == ("unreadable", "not a regular file")


def test_texts_are_printable_and_cut() -> None:
    broker = seen(changed("guests[0].guest", "</script>\u202e\x1b[2J" + "a" * 500))
    assert broker["guests"][0]["guest"].startswith(r"</script>\u202e\x1b[2J")
    assert len(broker["guests"][0]["guest"]) == 100


def test_lists_are_bounded_and_later_versions_may_say_more() -> None:
    document = changed("guests", [dict(STATUS["guests"][0])] * (MOST_GUESTS + 1))
    document["more"] = document["guests"][0]["more"] = 1
    document["classes"][1]["sockets"] = ["/run/virtrngd/gold.sock"] * 50
    broker = seen(document)
    assert (len(broker["guests"]), broker["guests_total"]) == (MOST_GUESTS, MOST_GUESTS)
    assert len(broker["classes"][1]["sockets"]) == 16
    assert "more" not in broker
    assert "more" not in broker["guests"][0]


def test_what_the_daemon_writes_is_what_is_read() -> None:
    """The two halves are apart, since the daemon loads nothing of an audit; here they meet."""
    made = written(3)
    assert made.keys() - STATUS.keys() == {"configuration"}, "which its role asks for, and no audit"
    assert STATUS.keys() <= made.keys()
    for key in ("sources", "classes", "guests"):
        assert made[key][0].keys() == STATUS[key][0].keys()
    broker = seen(status.encoded(made, status.FILE_LIMIT))
    assert {key: broker[key] for key in STATUS if key != "schema"} == {
        key: made[key] for key in STATUS if key != "schema"
    }
    assert (broker["status"], broker["serving"], broker["waiting_long"]) == ("running", "/dev/hwrng", 1)
    assert set(status.STATES) == {SERVING, STANDBY, STARTING, *CUT_OFF}


def test_the_longest_file_that_the_daemon_writes_is_read() -> None:
    broker = seen(status.encoded(written(900), status.FILE_LIMIT))
    assert broker["status"] == "running"
    assert 0 < len(broker["guests"]) <= MOST_GUESTS
    assert broker["guests_total"] == 900


def written(guests: int) -> dict[str, Any]:
    daemon = status.DaemonState("0.1.0", 812, UPDATED - 60.0, rate=65536)
    source = {"source": "/dev/hwrng", "state": "serving", "why": None, "bytes": 640, "failures": 0}
    classes = [status.ClassState(f"c{n}", None, 64, None, 512, 0, sockets=(f"/run/c{n}.sock",)) for n in range(30)]
    clients = [
        status.ClientState("\U0001f480" * 80 + str(n), "c1", n, 64055, n * 64, n, 0, None if n else 80.0)
        for n in range(guests)
    ]
    return dict(status.document(daemon, [source], classes, clients, UPDATED + 0.25, 100.0))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = [
    *STATUS,
    *(f"sources[0].{key}" for key in STATUS["sources"][0]),
    *(f"classes[2].{key}" for key in STATUS["classes"][2]),
    *(f"guests[0].{key}" for key in STATUS["guests"][0]),
    *("sources[1]", "classes[3]", "guests[3]"),
]


@given(st.sampled_from(PATHS), JSON)
def test_any_value_in_any_place_gives_a_printable_result(path: str, value: Any) -> None:
    broker = interpret_broker({BROKER: json.dumps(changed(path, value)), "now": str(UPDATED)})
    assert broker is not None
    assert broker["status"] in ("running", "stale", "unreadable")
    assert all(text.isprintable() for text in _texts(broker))
    json.dumps(broker, allow_nan=False)


@given(st.text(max_size=200))
def test_any_text_gives_a_result(text: str) -> None:
    broker = interpret_broker({BROKER: text, "now": text})
    assert broker is not None
    assert broker["status"] == "unreadable"


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def test_who_serves_and_who_waits() -> None:
    broker = seen(changed("guests[1].waiting", 10.5))
    assert broker["waiting_long"] == 1
    assert served_by(broker) == broker["serving"] == "/dev/hwrng"
    assert [guest["guest"] for guest in waiting_long(broker)] == ["web1"]
    assert served_by(seen(changed("sources[0].state", "failed"))) is None
