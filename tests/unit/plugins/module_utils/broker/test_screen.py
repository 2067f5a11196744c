# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents as text for people, at the size of a terminal."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import status
from ansible_collections.fleet.rng.plugins.module_utils.broker.cells import Style
from ansible_collections.fleet.rng.plugins.module_utils.broker.screen import frame, table
from ansible_collections.fleet.rng.plugins.module_utils.broker.status import ClassState, ClientState, DaemonState
from hypothesis import given
from hypothesis import strategies as st

GETRANDOM = {"source": "getrandom", "state": "serving", "why": None, "bytes": 8000, "failures": 0}
HWRNG = {"source": "/dev/hwrng", "state": "failed", "why": "the same byte 21 times", "bytes": 64, "failures": 2}
ASCII = Style(blocks=False)


def client(guest: str, given: int, class_name: str = "gold", **changes: Any) -> ClientState:
    return ClientState(guest, class_name, 7, 64055, given, given // 64, 0, None)._replace(**changes)


def at(seconds: float, factor: int = 1, clients: int = 3, **changes: Any) -> dict[str, Any]:
    """A broker after some seconds, and all counters of it: `factor` times the same."""
    classes = [
        ClassState("prod", None, 3072, None, 512, 0, 0, 0, 4096 * factor, 64 * factor, 0, 512 * factor),
        ClassState("gold", "prod", 1024, 2048, 512, 0, clients, 1, 2048 * factor, 32 * factor, 0, 1024 * factor),
        ClassState("iron", "prod", 64, None, 512, 0, 0, 0, 2048 * factor, 32 * factor, 0, 0),
        ClassState("default", None, 64, 64, 512, 0, 0, 0, 0, 0, 0, 0),
    ]
    given = [
        client(f"web{number}", 64 * factor * (number + 1), waits=factor * (number + 1) // 2)
        for number in range(clients)
    ]
    daemon = DaemonState("0.1.0", 4711, 1795262400.0, 1, 8192)
    made = status.document(daemon, [HWRNG, GETRANDOM], classes, given, 1795262400.0 + seconds, 0.0)
    return {**made, **changes}


def lines(text: str) -> list[str]:
    return text.splitlines()


def row(text: str, first: str) -> list[str]:
    """The columns of the line that begins with a word."""
    return next(re.split(" {1,}", line.strip()) for line in lines(text) if line.split()[:1] == [first])


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_a_frame() -> None:
    before = at(100, 10)
    after = at(102, 12)
    after["guests"][0]["waiting"] = 61.0
    assert lines(frame(before, after, 80, 24, ASCII)) == [
        "virtrngd 0.1.0   pid 4711   up 1 min   1 restart in place               12:01:42",
        "host  #############.............  4.0 KiB of 8.0 KiB/s   3 clients, 1 waiting",
        "from  /dev/hwrng failed: the same byte 21 times; cut off twice",
        "from  getrandom serves, 0 B/s",
        "",
        "CLASS              NOW/s   RATE/s   LIMIT/s                     BORROWED WAITING",
        "prod             4.0 KiB  3.0 KiB   8.0 KiB ######++.........      512 B       1",
        "  gold           2.0 KiB  1.0 KiB   2.0 KiB ########+++++++++    1.0 KiB       1",
        "  iron           2.0 KiB     64 B   8.0 KiB #+++.............          -       0",
        "default              0 B     64 B      64 B .................          -       0",
        "",
        "GUEST                  NOW/s CLASS                TOTAL  REQ/s  WAITED  WAITING",
        "web2                   192 B gold               2.2 KiB      3    50 %    1 min",
        "web1                   128 B gold               1.5 KiB      2    50 %        -",
        "web0                    64 B gold                 768 B      1    50 %        -",
        *[""] * 8,
        "# within its rate  + borrowed  . left of its limit",
    ]


def test_a_table() -> None:
    assert lines(table(at(3600 * 30), 80)) == [
        "virtrngd 0.1.0   pid 4711   up 1 d 6 h   1 restart in place",
        "The host may draw 8.0 KiB/s; 3 clients, 1 waiting",
        "",
        "source  /dev/hwrng failed: the same byte 21 times; 64 B so far; cut off twice",
        "source  getrandom serves; 7.8 KiB so far",
        "",
        "CLASS                RATE/s   LIMIT/s     BYTES  BORROWED CLIENTS WAITING",
        "prod                3.0 KiB      none   4.0 KiB     512 B       3       1",
        "  gold              1.0 KiB   2.0 KiB   2.0 KiB   1.0 KiB       3       1",
        "  iron                 64 B      none   2.0 KiB       0 B       0       0",
        "default                64 B      64 B       0 B       0 B       0       0",
        "",
        "GUEST              CLASS                PID     BYTES  REQUESTS   WAITS  WAITING",
        "web2               gold                   7     192 B         3       1        -",
        "web1               gold                   7     128 B         2       1        -",
        "web0               gold                   7      64 B         1       0        -",
    ]


def test_the_first_frame_knows_no_rates() -> None:
    shown = frame(None, at(100), 80, 24, ASCII)
    assert row(shown, "gold")[1:] == ["-", "1.0", "KiB", "2.0", "KiB", "." * 17, "-", "1"]
    assert row(shown, "web0")[1:] == ["-", "gold", "64", "B", "-", "-", "-"]
    assert "  - of 8.0 KiB/s" in shown


@pytest.mark.parametrize("changes", [{"pid": 4712}, {"started": 1795262399.0}, {"updated": 1795262500.0}])
def test_another_process_or_the_same_moment_gives_no_rates(changes: dict[str, Any]) -> None:
    shown = frame({**at(100), **changes}, at(100, 2), 80, 24)
    assert row(shown, "gold")[1] == "-"


def test_a_guest_that_is_new_and_one_that_came_again_have_no_rates_yet() -> None:
    before, after = at(100, 10, clients=2), at(102, 12, clients=3)
    before["guests"][0]["bytes"] += 10000
    shown = frame(before, after, 80, 24)
    assert [row(shown, f"web{number}")[1] for number in range(3)] == ["64", "-", "-"]


def test_those_that_are_stuck_come_first() -> None:
    before, after = at(100, 10), at(102, 12)
    after["guests"][-1]["waiting"] = 5.0
    after["guests"][0]["waiting"] = 4.9
    shown = lines(frame(before, after, 80, 24))
    assert [line.split()[0] for line in shown[12:15]] == ["web0", "web2", "web1"]


def test_sources_in_words() -> None:
    states = ["standby", "starting", "stalled", "missing"]
    sources = [{**GETRANDOM, "source": f"/dev/{state}", "state": state} for state in states]
    shown = frame(None, at(100, sources=sources), 80, 24)
    assert lines(shown)[2:7] == [
        "No source serves: whoever asks now has to wait.",
        "from  /dev/standby stands by",
        "from  /dev/starting is being tested",
        "from  /dev/stalled gives nothing now",
        "from  /dev/missing is missing",
    ]
    many = frame(None, at(100, sources=[GETRANDOM] * 9), 80, 24)
    assert "      and 5 more sources" in lines(many)


def test_troubles_are_counted() -> None:
    shown = table(at(1, refused=3, protocol_errors=1), 80)
    assert lines(shown)[1].endswith("1 waiting; 3 connections refused; 1 protocol errors")


def test_a_host_without_a_limit() -> None:
    before, after = at(100, rate=None), at(102, 3, rate=None)
    shown = frame(before, after, 80, 24, ASCII)
    assert lines(shown)[1] == "host  4.0 KiB/s, no limit   3 clients, 1 waiting"
    assert row(shown, "iron")[1:] == ["2.0", "KiB", "64", "B", "none", "-", "0"]
    assert "The host has no limit" in table(after, 80)


def test_many_classes_and_guests_share_the_lines() -> None:
    classes = [ClassState(f"c{number}", None, 64, None, 255, 0) for number in range(40)]
    classes[30] = ClassState("late", None, 64, None, 255, 0, 1, 1)
    made = status.document(
        DaemonState("1", 1, 0.0), [GETRANDOM], classes, [client(f"g{n}", n) for n in range(300)], 9.0, 0.0
    )
    shown = lines(frame(None, made, 80, 24))
    assert len(shown) == 24
    assert "and 31 more classes" in shown
    assert any(line.startswith("late") for line in shown)
    assert "and 296 more guests" in shown
    unlimited = lines(frame(None, made, 80, 0))
    assert "and 100 more guests" in unlimited
    assert len(unlimited) > 240
    assert "and 100 more guests" in lines(table(made, 80))


def test_nobody_is_there() -> None:
    made = at(100, clients=0)
    assert "no guests" in frame(None, made, 80, 24)
    assert "no guest is connected" in table(made, 80)


def test_what_is_alarming_is_red() -> None:
    made = at(100)
    made["guests"][0]["waiting"], made["guests"][1]["waiting"] = 5.0, 0.1
    shown = lines(frame(None, made, 80, 24, Style(colours=True)))
    assert [line.split()[0] for line in shown if "\x1b[1;31m" in line] == ["from", "web2"]


def test_parents_that_lead_in_a_circle_end_somewhere() -> None:
    made = at(100)
    made["classes"][0]["parent"] = "iron"
    assert "default" in frame(None, made, 80, 24)


def test_a_class_whose_parent_is_not_told_stands_for_itself() -> None:
    made = at(100)
    made["classes"] = [one for one in made["classes"] if one["name"] != "prod"]
    assert any(line.startswith("gold ") for line in lines(table(made, 80)))


def test_colours_say_no_more_than_the_text() -> None:
    before, after = at(100, 10), at(102, 12)
    coloured = frame(before, after, 80, 24, Style(colours=True))
    plain = frame(before, after, 80, 24)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines(coloured)] == lines(plain)
    assert "\x1b[1;31m" in coloured
    assert "\x1b" not in plain


def columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


@given(st.integers(1, 200), st.integers(1, 60), st.text(max_size=120), st.integers(0, 2**70), st.integers(0, 12))
def test_a_frame_keeps_to_its_size(width: int, height: int, name: str, given: int, clients: int) -> None:
    made = at(100, clients=clients)
    made["guests"] += status.document(
        DaemonState("", 1, 0.0), [], [], [client(name, given, waiting_since=-(10.0**6))], 0.0, 0.0
    )["guests"]
    made["guests_total"] += 1
    shown = lines(frame(None, made, width, height))
    assert len(shown) <= height
    assert max(map(columns, shown)) <= width
