# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the broker's status file by Python; that the shell reads the same is tested with the probe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel import broker_file
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER, NO_FILE, read_broker


@pytest.fixture
def status(tmp_path: Path) -> Path:
    path = Path(f"{tmp_path}{BROKER}")
    path.parent.mkdir(parents=True)
    return path


def test_without_a_broker_there_is_nothing(tmp_path: Path) -> None:
    assert read_broker(tmp_path) == {}
    Path(tmp_path, "run").write_text("not a directory")
    assert read_broker(tmp_path) == {}


def test_a_file_is_read(status: Path, tmp_path: Path) -> None:
    status.write_text('{"a":\n1}\n')
    assert read_broker(tmp_path) == {BROKER: '{"a": 1}'}


def test_the_running_machine_has_a_clock(status: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status.write_text("{}")
    monkeypatch.setattr(Path, "resolve", lambda path: Path("/"))
    monkeypatch.setattr(broker_file.time, "time", lambda: 1795003600.9)
    assert read_broker(tmp_path)["now"] == "1795003600"


def test_what_becomes_a_fifo_after_the_look_does_not_hang(
    status: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(status)
    regular = os.stat_result((stat.S_IFREG | 0o644, *(0,) * 9))
    monkeypatch.setattr(os, "lstat", lambda path: regular)
    assert read_broker(tmp_path) == {"!" + BROKER: NO_FILE}


def test_what_becomes_a_link_after_the_look_is_not_followed(
    status: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status.symlink_to("/etc/passwd")
    regular = os.stat_result((stat.S_IFREG | 0o644, *(0,) * 9))
    monkeypatch.setattr(os, "lstat", lambda path: regular)
    assert read_broker(tmp_path) == {"!" + BROKER: NO_FILE}


def test_a_look_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "lstat", refuse)
    assert read_broker(tmp_path) == {"!" + BROKER: "Permission denied"}
