# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: what a line holds, and what becomes of it where it cannot be written."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import log as module
from ansible_collections.fleet.rng.plugins.module_utils.broker.log import Log
from hypothesis import given
from hypothesis import strategies as st

WALL = 1795288159.25


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def text_of(fd: int) -> str:
    parts = []
    while True:
        try:
            parts.append(os.read(fd, 65536))
        except BlockingIOError:
            return b"".join(parts).decode("ascii")


def lines(fd: int) -> list[dict[str, Any]]:
    text = text_of(fd)
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], {}, wall=lambda: WALL)
    log.info("started", version="0.1.0", clients=0)
    log.notice("upgraded")
    log.warning("refused", guest="web1")
    log.error("source failed", source="/dev/hwrng", why=None, sound=False)
    head = {"time": "2026-11-21T19:09:19.250Z"}
    assert lines(pipe[0]) == [
        {**head, "level": "info", "event": "started", "version": "0.1.0", "clients": 0},
        {**head, "level": "notice", "event": "upgraded"},
        {**head, "level": "warning", "event": "refused", "guest": "web1"},
        {**head, "level": "error", "event": "source failed", "source": "/dev/hwrng", "why": None, "sound": False},
    ]
    assert log.lost == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb\x1b[2J\u202e", r"a\x0ab\x1b[2J\u202e"),
        ("x" * 1000, "x" * 197 + "..."),
        (b"\x00web\xff", "\\x00web\xff"),
        (1.5, 1.5),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (2**63, 2**63),
        (-(10**4000), "an integer of 13288 bits"),
        ([1] * 25, [1] * 20 + ["... and 5 more"]),
        ((1, {"a": "b\n"}), [1, {"a": "b\\x0a"}]),
        ({str(number): number for number in range(22)}, {**{str(n): n for n in range(20)}, "...": 2}),
        ([[[["deep"]]]], [[["list"]]]),
        ({1: 2, None: 3}, {"1": 2, "None": 3}),
        (OSError(2, "No such file or directory", "/x\n"), r"No such file or directory: /x\x0a"),
        (OSError(2, "No such file or directory"), "No such file or directory"),
        (ValueError("wrong", 5, "here"), "wrong here"),
        (ValueError(), "ValueError"),
        (object(), "object"),
    ],
)
def test_values(value: Any, shown: Any, pipe: tuple[int, int]) -> None:
    Log(pipe[1], {}).info("x", value=value)
    assert lines(pipe[0])[0]["value"] == shown


def test_fields_do_not_hide_what_a_line_begins_with(pipe: tuple[int, int]) -> None:
    Log(pipe[1], {}).info("x", level="none", time=0)
    (line,) = lines(pipe[0])
    assert (line["level"], line["level_"], line["time_"]) == ("info", "none", 0)


@given(
    st.text(),
    st.dictionaries(
        st.text().filter(lambda name: name not in ("self", "event")),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
            lambda one: st.lists(one) | st.dictionaries(st.text() | st.integers(), one),
            max_leaves=50,
        ),
        max_size=30,
    ),
)
def test_whatever_is_said_is_one_short_line(event: str, fields: dict[str, Any]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    Log(writing, {}).warning(event, **fields)
    text = text_of(reading)
    os.close(reading)
    os.close(writing)
    assert len(text) <= module.LINE
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert json.loads(text)["level"] == "warning"


def test_a_long_line_loses_its_last_fields(pipe: tuple[int, int]) -> None:
    Log(pipe[1], {}).warning("\U0001f3b2" * 500, **{f"k{number}": "\U0001f3b2" * 500 for number in range(9)})
    (line,) = lines(pipe[0])
    assert line["cut"] is True
    assert "k8" not in line


# The journal ---------------------------------------------------------------------------------------------------------


def test_the_journal_gets_priorities() -> None:
    ours, journal = socket.socketpair()
    with ours, journal:
        ours.setblocking(False)
        status = os.fstat(journal.fileno())
        log = Log(journal.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        log.info("a")
        log.notice("b")
        log.warning("c")
        log.error("d")
        found = ours.recv(65536).decode().splitlines()
        assert [line[:3] for line in found] == ["<6>", "<5>", "<4>", "<3>"]
        assert [json.loads(line[3:])["event"] for line in found] == ["a", "b", "c", "d"]


def test_another_stream_than_the_journal_gets_none(pipe: tuple[int, int]) -> None:
    Log(pipe[1], {"JOURNAL_STREAM": "9:12345"}).info("a")
    assert lines(pipe[0])[0]["event"] == "a"


# Too much ------------------------------------------------------------------------------------------------------------


def test_one_kind_does_not_drown_the_others(pipe: tuple[int, int], clock: Clock) -> None:
    log = Log(pipe[1], {}, clock)
    for number in range(100):
        log.warning("refused", number=number)
    log.warning("protocol error")
    log.error("refused")
    found = lines(pipe[0])
    assert [line["event"] for line in found] == ["refused"] * module.BURST + ["protocol error", "refused"]
    clock.now += module.WINDOW
    log.warning("refused", number=100)
    log.warning("refused", number=101)
    first, second = lines(pipe[0])
    assert (first["number"], first["left_out"]) == (100, 100 - module.BURST)
    assert "left_out" not in second


def test_what_was_left_out_is_said_when_it_is_over(pipe: tuple[int, int], clock: Clock) -> None:
    log = Log(pipe[1], {}, clock)
    for dummy in range(module.BURST + 3):
        log.warning("refused", guest="x")
    log.info("quiet")
    lines(pipe[0])
    log.tick()
    assert lines(pipe[0]) == []
    clock.now += module.WINDOW
    log.tick()
    (line,) = lines(pipe[0])
    assert (line["level"], line["event"], line["left_out"]) == ("warning", "refused", 3)
    log.tick()
    assert lines(pipe[0]) == []


def test_kinds_without_end_take_no_memory_without_end(pipe: tuple[int, int], clock: Clock) -> None:
    log = Log(pipe[1], {}, clock)
    for number in range(module.KINDS * 3):
        log.info(f"kind {number}")
        text_of(pipe[0])
    assert len(log._kinds) == module.KINDS + 1
    clock.now += module.WINDOW
    log.tick()
    assert [line["event"] for line in lines(pipe[0])] == ["other messages"]
    assert log._kinds == {}


# Nowhere to go -------------------------------------------------------------------------------------------------------


def test_a_pipe_that_nobody_reads(pipe: tuple[int, int], clock: Clock) -> None:
    """It is shared, so it stays blocking; and it is full in the end, which must not stop the daemon."""
    log = Log(pipe[1], {}, clock)
    said = 0
    while not log.lost:
        log.info("x", number=said)
        clock.now += module.WINDOW
        said += 1
        assert said < 100000
    log.info("y")
    assert os.get_blocking(pipe[1])
    assert len(lines(pipe[0])) == said - 1
    log.info("z")
    log.info("z")
    first, second = lines(pipe[0])
    assert first["lost"] == log.lost == 2
    assert "lost" not in second


def test_a_pipe_that_is_closed(clock: Clock) -> None:
    reading, writing = os.pipe()
    log = Log(writing, {}, clock)
    os.close(reading)
    log.info("x")
    os.close(writing)
    log.info("x")
    assert log.lost == 2


def test_a_full_disk() -> None:
    with Path("/dev/full").open("wb") as full:
        log = Log(full.fileno(), {})
        log.info("x")
        assert log.lost == 1


def test_a_disk_that_is_full_in_the_middle_of_a_line(tmp_path: Path, limit_of_files: Callable[[int], None]) -> None:
    with (tmp_path / "log").open("w+b") as file:
        log = Log(file.fileno(), {})
        limit_of_files(100)
        log.info("one")
        log.info("two")  # half of it
        log.info("three")  # nothing
        limit_of_files(1000)
        log.info("four")
        one, half, four = (tmp_path / "log").read_text().splitlines()
    assert json.loads(one)["event"] == "one"
    assert not half.endswith("}")
    assert (json.loads(four)["event"], json.loads(four)["lost"]) == ("four", 2)


@pytest.fixture
def limit_of_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The disk takes no more than so many bytes of a file."""
    room = [0]
    write = os.write

    def limited(fd: int, data: bytes) -> int:
        left = room[0] - os.fstat(fd).st_size
        if left <= 0:
            raise OSError(28, "No space left on device")
        return write(fd, data[:left])

    monkeypatch.setattr(os, "write", limited)

    def to(size: int) -> None:
        room[0] = size

    return to
