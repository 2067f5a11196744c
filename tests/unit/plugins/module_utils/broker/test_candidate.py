# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checking the program that may come next: sound ones, broken ones, hung ones."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import candidate
from ansible_collections.fleet.rng.plugins.module_utils.broker.candidate import Check, Outcome
from ansible_collections.fleet.rng.plugins.module_utils.broker.handover import HandoverError

PATIENCE = 60


def outcome(check: Check) -> Outcome:
    while (found := check.poll(time.monotonic())) is None:
        time.sleep(0.01)
    return found


@pytest.fixture
def sh(tmp_path: Path) -> Callable[..., list[str]]:
    def write(text: str) -> list[str]:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return [str(program), "--config", "/a b"]

    return write


@pytest.mark.parametrize(
    ("text", "sound", "why"),
    [
        ("exit 0", True, ""),
        ("echo noise >&2; echo more; exit 0", True, ""),
        ('echo "$@" >&2; exit 1', False, "--config /a b --check"),
        ("exit 7", False, "the check failed with exit code 7 and did not say why"),
        ("kill -9 $$", False, "the check failed with signal 9 and did not say why"),
        ("printf 'a\\033[2J\\nb\\377\\n' >&2; exit 1", False, "a\\x1b[2J b\ufffd"),
        ("sleep 600 & exit 0", True, ""),  # what it leaves behind holds its standard error
        ("exec 2>&-; sleep 0.2; exit 3", False, "the check failed with exit code 3 and did not say why"),
        ('test -z "$NOTIFY_SOCKET$WATCHDOG_USEC$VIRTRNGD_STATE" && test "$HOME" = /home', True, ""),
    ],
)
def test_a_check(text: str, sound: bool, why: str, sh: Callable[..., list[str]]) -> None:
    environ = {
        **os.environ,
        **dict.fromkeys(["NOTIFY_SOCKET", "WATCHDOG_USEC", "VIRTRNGD_STATE"], "1"),
        "HOME": "/home",
    }
    found = outcome(candidate.check(sh(text), PATIENCE, environ))
    assert (found.sound, found.why) == (sound, why)
    assert (found.left >= 0) == sound
    if sound:
        os.close(found.left)


def test_what_it_leaves_is_ours(sh: Callable[..., list[str]]) -> None:
    found = outcome(candidate.check(sh('echo compiled >"/proc/self/fd/$VIRTRNGD_CODE"'), PATIENCE))
    assert os.pread(found.left, 100, 0) == b"compiled\n"
    os.close(found.left)


def test_a_check_says_no_more_than_a_page(sh: Callable[..., list[str]]) -> None:
    check = candidate.check(sh("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1"), PATIENCE)
    assert outcome(check) == Outcome(False, "x" * candidate.COMPLAINT)


def test_a_check_that_hangs_is_killed_with_all_it_started(sh: Callable[..., list[str]], tmp_path: Path) -> None:
    check = candidate.check(sh(f"sleep 600 & echo $! >{tmp_path}/pid; echo started >&2; wait"), PATIENCE)
    while b"started" not in check._said:
        assert check.poll(time.monotonic()) is None
    late = time.monotonic() + PATIENCE
    assert check.poll(late) == Outcome(False, "the check took too long and was stopped: started")
    status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    with contextlib.suppress(OSError):  # it may go between two looks
        while status.read_text().split(")")[1].split()[0] != "Z":
            assert time.monotonic() < late
            time.sleep(0.01)


def test_a_check_tells_when_to_look_again(sh: Callable[..., list[str]]) -> None:
    check = candidate.check(sh("exec 2>&-; sleep 600"), 30)
    now = time.monotonic()
    assert 0 < check.pause(now) <= 30
    assert check.pause(now + 31) == 0
    assert check.fileno() > 2
    while check.pause(now) > 1:  # until it has closed its end
        assert check.poll(now) is None
    check.close()


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(HandoverError, match="cannot run /nonexistent --check: No such file"):
        candidate.check(["/nonexistent"], 1)


def test_a_failure_is_seen_where_children_were_ignored(sh: Callable[..., list[str]]) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert not outcome(candidate.check(sh("exit 1"), PATIENCE)).sound
    finally:
        signal.signal(signal.SIGCHLD, before)
