# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's protocol against agents that are well, absent, late, disabled, or answer anything they like."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.transport.agent import (
    ANSWER_LIMIT,
    DISABLED,
    GARBAGE,
    REFUSED,
    TIMED_OUT,
    Agent,
    AgentError,
    Deadline,
    Finished,
    is_missing,
)


class Script:
    """An agent that gives the answers of a list, one after the other, and notes what it was asked.

    An answer is a value to return, an exception to raise, or a text that is sent as it is.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.seconds: list[float] = []

    def __call__(self, text: str, seconds: float) -> str:
        self.asked.append(json.loads(text))
        self.seconds.append(seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else json.dumps({"return": answer})

    @property
    def commands(self) -> list[str]:
        return [asked["execute"] for asked in self.asked]


class Clock:
    """A clock that goes on by ``step`` at each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 100.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def agent(script: Script, seconds: float = 10, step: float = 0.0) -> Agent:
    clock = Clock(step)

    def sleep(pause: float) -> None:
        clock.now += pause

    return Agent(script, Deadline(seconds, clock), sleep)


def part(content: bytes, eof: bool = True) -> dict[str, Any]:
    return {"count": len(content), "buf-b64": base64.b64encode(content).decode(), "eof": eof}


def commands(*names: str, off: Iterable[str] = ()) -> dict[str, Any]:
    entries = [{"name": name, "enabled": True} for name in names] + [{"name": name, "enabled": False} for name in off]
    return {"version": "7.2.22", "supported_commands": entries}


def test_a_file() -> None:
    script = Script(5, part(b"virtio_", eof=False), part(b"rng.0\n"), {})
    assert agent(script).read("/sys/current", 64) == b"virtio_rng.0\n"
    assert script.asked == [
        {"execute": "guest-file-open", "arguments": {"path": "/sys/current", "mode": "r"}},
        {"execute": "guest-file-read", "arguments": {"handle": 5, "count": 64}},
        {"execute": "guest-file-read", "arguments": {"handle": 5, "count": 57}},
        {"execute": "guest-file-close", "arguments": {"handle": 5}},
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [part(b"x" * 100, eof=False)],  # more than was asked for
        [part(b"x" * 5, eof=False), part(b"x" * 5, eof=False)],
        [part(b"x" * 5, eof=False), part(b"", eof=False)],  # neither more bytes nor an end
    ],
)
def test_a_file_is_read_up_to_a_limit(parts: list[Any]) -> None:
    script = Script(5, *parts, {})
    content = agent(script).read("/endless", 10)
    assert content == b"x" * min(10, sum(answer["count"] for answer in parts))
    assert script.commands[-1] == "guest-file-close"


@pytest.mark.parametrize(
    "failure",
    [
        AgentError(REFUSED, "failed to read file: Is a directory"),
        AgentError(TIMED_OUT, "late"),
        "garbage",
        [],
        {"buf-b64": 5},
        {"buf-b64": "***"},
    ],
)
def test_a_handle_is_closed_whatever_happens(failure: Any) -> None:
    script = Script(5, failure, {})
    with pytest.raises(AgentError):
        agent(script).read("/x", 64)
    assert script.asked[-1] == {"execute": "guest-file-close", "arguments": {"handle": 5}}


def test_a_handle_is_closed_when_the_time_is_up() -> None:
    script = Script(5, part(b"x", eof=False), {})
    with pytest.raises(AgentError, match=r"^its agent did not finish within 10 seconds$"):
        agent(script, step=4).read("/x", 64)
    assert script.commands[-1] == "guest-file-close"


def test_a_close_that_fails_takes_nothing_away() -> None:
    assert agent(Script(5, part(b"x"), AgentError(TIMED_OUT, "late"))).read("/x", 64) == b"x"


def test_what_is_there_and_what_is_missing() -> None:
    missing = AgentError(REFUSED, "failed to open file '/x' (mode: 'r'): No such file or directory")
    denied = AgentError(REFUSED, "failed to open file '/x' (mode: 'r'): Permission denied")
    script = Script(7, {}, missing, denied)
    asked = agent(script)
    assert (asked.holds("/x"), asked.holds("/x")) == (True, False)
    with pytest.raises(AgentError, match="Permission denied"):
        asked.holds("/x")
    assert script.commands == ["guest-file-open", "guest-file-close", "guest-file-open", "guest-file-open"]
    assert (is_missing(missing), is_missing(denied)) == (True, False)


def test_remaining_seconds_are_given_to_each_call() -> None:
    script = Script(5, part(b"x"), {})
    agent(script, seconds=10, step=1).read("/x", 64)
    assert script.seconds[0] > script.seconds[1] > 0
    assert script.seconds[2] == 1


def test_a_program() -> None:
    out = base64.b64encode(b"out").decode()
    script = Script({"pid": 9}, {"exited": False}, {"exited": True, "exitcode": 3, "out-data": out})
    assert agent(script).run("echo $0", ("a",)) == Finished(3, b"out", b"")
    assert script.asked[0]["arguments"] == {"path": "/bin/sh", "arg": ["-c", "echo $0", "a"], "capture-output": True}
    assert script.asked[1] == {"execute": "guest-exec-status", "arguments": {"pid": 9}}


def test_a_program_that_a_signal_ended_and_that_wrote_too_much() -> None:
    status = {"exited": True, "signal": 9, "out-truncated": True}
    assert agent(Script({"pid": 9}, status)).run("x") == Finished(None, b"", b"", cut=True)


def test_a_program_that_does_not_end() -> None:
    script = Script({"pid": 9}, *[{"exited": False}] * 100)
    with pytest.raises(AgentError) as caught:
        agent(script, seconds=5).run("sleep 1000")
    assert caught.value.kind == TIMED_OUT
    assert len(script.asked) < 20


def test_commands_that_are_off_are_not_tried() -> None:
    script = Script(commands("guest-file-open", off=["guest-exec"]))
    asked = agent(script)
    asked.greet()
    assert asked.allows("guest-file-open")
    assert not asked.allows("guest-exec")
    assert not asked.allows("guest-file-open", "nosuch")
    with pytest.raises(AgentError) as caught:
        asked.run("x")
    assert caught.value.kind == DISABLED
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [{"version": "0.12"}, {"supported_commands": 5}, AgentError(REFUSED, "Command guest-info has been disabled")],
)
def test_an_agent_that_does_not_tell_its_commands_is_asked_for_each(answer: Any) -> None:
    asked = agent(Script(answer))
    asked.greet()
    assert asked.allows("guest-exec")


def test_an_agent_that_does_not_answer_the_greeting() -> None:
    with pytest.raises(AgentError, match="late"):
        agent(Script(AgentError(TIMED_OUT, "late"))).greet()


def test_the_system() -> None:
    assert agent(Script({"id": "debian", "version": 12, "name": "Debian"})).os_info() == {
        "id": "debian",
        "name": "Debian",
    }


def test_pci_drivers() -> None:
    answer = [{"driver-name": "x", "id": {"type": "pci", "vendor-id": 6900, "device-id": 4101}}, {"id": None}, 5]
    assert agent(Script(answer)).pci_drivers() == [{"vendor": 6900, "device": 4101}]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", GARBAGE, "no JSON"),
        ("\x00\xff", GARBAGE, "no JSON"),
        ("[" * 100_000, GARBAGE, "no JSON"),
        ("x" * 10_000_000, GARBAGE, "10000000 characters"),
        (json.dumps({"return": "x" * ANSWER_LIMIT}), GARBAGE, "more than 1048576"),
        ('{"return": ' + "9" * 1_000_000 + "}", GARBAGE, "no JSON"),
        ("[]", GARBAGE, "no object"),
        ("{}", GARBAGE, "neither a result nor an error"),
        ('{"return": []}', GARBAGE, "no object"),
        ('{"error": "x"}', REFUSED, "no reason given"),
        ('{"error": {"class": "GenericError", "desc": "\\u001b[2J<b>"}}', REFUSED, r"\x1b[2J<b>"),
        ('{"error": {"class": "CommandDisabled", "desc": "off"}}', DISABLED, "off"),
        ('{"error": {"class": "CommandNotFound", "desc": 5}}', DISABLED, "5"),
    ],
)
def test_bad_answers(text: str, kind: str, words: str) -> None:
    with pytest.raises(AgentError) as caught:
        agent(Script(text)).os_info()
    assert caught.value.kind == kind
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("ask", "answers"),
    [
        (lambda asked: asked.read("/x", 9), ["5"]),
        (lambda asked: asked.read("/x", 9), [True]),
        (lambda asked: asked.holds("/x"), [None]),
        (lambda asked: asked.run("x"), [{}]),
        (lambda asked: asked.run("x"), [{"pid": True}]),
        (lambda asked: asked.run("x"), [{"pid": 5}, []]),
        (lambda asked: asked.run("x"), [{"pid": 5}, {"exited": True, "out-data": ["x"]}]),
        (lambda asked: asked.pci_drivers(), [{"x": 1}]),
        (lambda asked: asked.greet(), [5]),
    ],
)
def test_wrong_types(ask: Callable[[Agent], object], answers: list[Any]) -> None:
    with pytest.raises(AgentError) as caught:
        ask(agent(Script(*[json.dumps({"return": answer}) for answer in answers])))
    assert caught.value.kind == GARBAGE


def test_nothing_more_is_asked_after_an_answer_that_comes_too_late() -> None:
    asked = agent(script := Script({"id": "debian"}), seconds=2, step=1.5)
    assert asked.os_info() == {"id": "debian"}
    with pytest.raises(AgentError, match="did not finish within 2 seconds"):
        asked.os_info()
    assert len(script.asked) == 1


def test_a_handle_that_comes_too_late_is_closed() -> None:
    script = Script(5, {})
    with pytest.raises(AgentError, match="did not finish within 2 seconds"):
        agent(script, seconds=2, step=1.5).read("/x", 64)
    assert script.commands == ["guest-file-open", "guest-file-close"]
