# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's socket: servers that answer, that are silent, and that say too much."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.transport import agent_socket
from ansible_collections.fleet.rng.plugins.module_utils.transport.agent import (
    GARBAGE,
    NO_AGENT,
    TIMED_OUT,
    AgentError,
)
from ansible_collections.fleet.rng.plugins.module_utils.transport.agent_socket import AgentSocket

SYNC = b'\xff{"return": 20260101}\n'
PING = '{"execute": "guest-ping"}'
Serve = Callable[..., str]


def failure(path: str, seconds: float = 30) -> AgentError:
    with closing(AgentSocket(path)) as call:
        with pytest.raises(AgentError) as caught:
            call(PING, seconds)
        with pytest.raises(AgentError, match=r".") as again:
            call(PING, seconds)
        assert again.value is caught.value
    return caught.value


def test_it_throws_away_what_others_left(serve: Serve) -> None:
    stale = b'{"return": {"old": 1}}\n\xff{"return": 5}\n\xff' + b"[" * 100000 + b"\n" + SYNC
    with closing(AgentSocket(serve(stale, b'{"return": {}}\n', b'{"return": 7}\n'))) as call:
        assert json.loads(call(PING, 30)) == {"return": {}}
        assert json.loads(call(PING, 30)) == {"return": 7}


def test_nobody_answers(serve: Serve) -> None:
    error = failure(serve(), 0.05)
    assert error.kind == TIMED_OUT
    assert "or another program is connected to" in str(error)


def test_it_stops_to_answer(serve: Serve) -> None:
    assert failure(serve(SYNC, b'{"ret'), 0.2).kind == TIMED_OUT


def test_there_is_no_time(serve: Serve) -> None:
    assert failure(serve(SYNC), 0).kind == TIMED_OUT


def test_it_ends(serve: Serve) -> None:
    assert failure(serve(SYNC, end=True)).kind == NO_AGENT


def test_there_is_none(tmp_path: Path) -> None:
    for path in ("none", "x" * 200, "a\0b"):
        assert failure(str(tmp_path / path)).kind == NO_AGENT


def test_too_much(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_socket, "ANSWER_LIMIT", 100000)
    assert failure(serve(SYNC, b"x" * 1000000)).kind == GARBAGE
