# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole, on real file systems, full ones included."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import status_file
from ansible_collections.fleet.rng.plugins.module_utils.broker.status_file import write


def test_a_file_is_replaced_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    before = os.umask(0o077)
    try:
        assert write(str(path), "old\n") is None
        reader = path.open(encoding="utf-8")
        assert write(str(path), "n\u00e9w\n") is None
    finally:
        os.umask(before)
    with reader:
        assert reader.read() == "old\n"
    assert path.read_text(encoding="utf-8") == "n\u00e9w\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_daemon_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".status.json.new").write_text("half", encoding="utf-8")
    assert write(str(tmp_path / "status.json"), "whole") is None
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["whole"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (tmp_path / ".status.json.new").symlink_to(victim)
    (tmp_path / "status.json").symlink_to(victim)
    assert write(str(tmp_path / "status.json"), "status") is None
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "status.json").is_symlink()


def test_a_missing_directory_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "status.json"
    assert write(str(path), "") == f"cannot write {path}: No such file or directory"


@pytest.mark.parametrize("path", ["/run/a\0b", "", "/"])
def test_a_path_that_cannot_be_is_a_reason(path: str) -> None:
    assert str(write(path, "text")).startswith(f"cannot write {path}: ")


def test_a_full_disk_is_a_reason_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    assert write(str(path), "old") is None
    real = os.open

    def open_full(name: str, flags: int, mode: int = 0o777) -> int:
        # The kernel's own full disk, behind the descriptor of the new file.
        os.close(real(name, flags, mode))
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(status_file.os, "open", open_full)
    monkeypatch.setattr(status_file.os, "fchmod", lambda descriptor, mode: None)
    assert write(str(path), "new") == f"cannot write {path}: No space left on device"
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.mkdir()
    assert write(str(path), "text") == f"cannot write {path}: something is there that is no file"
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_or_a_pipe_in_its_place_stays(tmp_path: Path) -> None:
    """Root may rename a file over any of them."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert write(str(path), "text") == f"cannot write {path}: something is there that is no file"
    assert path.is_fifo()
