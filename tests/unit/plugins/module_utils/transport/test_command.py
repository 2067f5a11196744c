# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands with limits."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport.command import bounded_run


def test_a_command() -> None:
    script = 'echo "$1"; echo "$LC_ALL" >&2; cat; exit 3'
    code, output, errors = bounded_run(["/bin/sh", "-c", script, "sh", "a; $(b) 'c"], 60)
    assert (code, output, errors) == (3, b"a; $(b) 'c\n", "C\n"), "no shell reads the words, and there is no input"


def test_one_that_writes_too_much() -> None:
    code, output, errors = bounded_run(["/bin/sh", "-c", "head -c 1000000 /dev/zero; echo x >&2"], 60)
    assert (code, len(output), errors) == (0, 65536, "x\n")


def test_an_answer_is_kept_as_a_whole_or_not_at_all() -> None:
    script = "head -c 100000 /dev/zero; head -c 200000 /dev/zero | tr '\\0' w >&2; echo x >&2"
    code, output, errors = bounded_run(["/bin/sh", "-c", script], 60, whole=100000)
    assert (code, len(output), len(errors), errors[-3:]) == (0, 100000, 65536, "wx\n"), "the end of the errors"
    with pytest.raises(HypervisorError, match=r"^sh wrote more than 99999 bytes$"):
        bounded_run(["/bin/sh", "-c", script], 60, whole=99999)
    with pytest.raises(TimedOutError, match=r"^sh did not answer within 1 seconds, the outcome is unknown$"):
        bounded_run(["/bin/sh", "-c", "echo x; sleep 1000"], 1, whole=10)


def test_bytes_that_are_no_text() -> None:
    assert bounded_run(["/bin/sh", "-c", r"printf '\377'; printf '\377' >&2"], 60) == (0, b"\xff", "\ufffd")


@pytest.mark.parametrize("then", ["wait", "exit 0"])
def test_one_that_hangs_is_killed_with_its_children(then: str, tmp_path: Path) -> None:
    """Also where it has ended itself, and its child can still write."""
    script = f"sleep 1000 & echo $! >{tmp_path}/child; {then}"
    with pytest.raises(TimedOutError, match=r"sh did not end within 3 seconds, the outcome is unknown"):
        bounded_run(["/bin/sh", "-c", script], 3)
    _is_killed(tmp_path)


def test_one_that_writes_too_much_is_killed_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! >{tmp_path}/child; echo too much"
    with pytest.raises(HypervisorError, match="more than 3 bytes"):
        bounded_run(["/bin/sh", "-c", script], 60, whole=3)
    _is_killed(tmp_path)


def _is_killed(tmp_path: Path) -> None:
    stat = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    until = time.monotonic() + 60
    with contextlib.suppress(OSError):  # it may go between two looks
        while stat.read_text().split()[2] not in "ZX":
            assert time.monotonic() < until, "its child still runs"
            time.sleep(0.01)


def test_one_that_is_not_there() -> None:
    with pytest.raises(HypervisorError, match="/nowhere/x: No such file or directory"):
        bounded_run(["/nowhere/x"], 60)
