# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing configuration files: owner, mode, links, other runs, and everything that may be in the way."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.transport import config_file
from ansible_collections.fleet.rng.plugins.module_utils.transport.config_file import change, read


def append(text: str) -> str:
    return text + "more\n"


def test_every_byte_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_bytes(b"\xff\r\n\x00\n")
    change(str(file), append)
    assert file.read_bytes() == b"\xff\r\n\x00\nmore\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.cfg"]


def test_owner_mode_and_attributes_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("x\n")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 7, 8)
    try:
        os.setxattr(file, "user.fleet", b"1")
        labelled = True
    except OSError:  # not on every file system
        labelled = False
    before = file.stat()
    change(str(file), append)
    after = file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert not labelled or os.getxattr(file, "user.fleet") == b"1"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.cfg").write_text("")
    (tmp_path / "a.cfg").symlink_to("real.cfg")
    change(str(tmp_path / "a.cfg"), append)
    assert (tmp_path / "a.cfg").is_symlink()
    assert (tmp_path / "real.cfg").read_text() == "more\n"


def test_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    assert read(str(file)) is None
    change(str(file), append)
    assert read(str(file)) == "more\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("x")
    before = file.stat().st_ino
    change(str(file), lambda text: text)
    assert file.stat().st_ino == before


def test_a_failure_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("x")

    def refuse(*dummy: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(config_file.os, "rename", refuse)
    with pytest.raises(GuestError, match="No space left on device"):
        change(str(file), append)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.cfg", "x")]


def test_another_run_is_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "_LOCK_SECONDS", 0.1)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(GuestError, match="temporarily unavailable"):
            change(str(tmp_path / "a.cfg"), append)
    finally:
        os.close(handle)
    change(str(tmp_path / "a.cfg"), append)


def test_a_file_is_checked_before_it_is_opened(tmp_path: Path) -> None:
    file, other = tmp_path / "a.cfg", tmp_path / "b.cfg"
    file.write_text("a")
    other.write_text("b")
    (tmp_path / "link").symlink_to(file)

    def exchange(real: str, status: os.stat_result) -> None:
        assert (real, status.st_ino) == (str(file), file.stat().st_ino)
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to(other)

    assert read(str(tmp_path / "link"), exchange) == "a", "what was checked is what is read"

    def refuse(dummy_real: str, dummy_status: os.stat_result) -> None:
        raise GuestError("not this one")

    with pytest.raises(GuestError, match=r"^not this one$"):
        read(str(file), refuse)
    assert read(str(tmp_path / "none"), refuse) is None


def test_a_device_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    there = os.open
    monkeypatch.setattr(config_file.os, "open", lambda path, flags: opened.append(flags) or there(path, flags))
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(GuestError, match="/dev/zero is no regular file"):
        read("/dev/zero")
    assert [bool(flags & os.O_PATH) for flags in opened] == [True]
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_what_is_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(GuestError, match="no regular file"):
        read(str(tmp_path / "fifo"))
    with pytest.raises(GuestError, match="no regular file"):
        read(str(tmp_path))
    with pytest.raises(GuestError, match="null"):
        read("/a\0b")
    with pytest.raises(GuestError, match="No such file"):
        change(str(tmp_path / "none" / "a.cfg"), append)
    monkeypatch.setattr(config_file, "MAX_SIZE", 10)
    (tmp_path / "large").write_text("x" * 11)
    with pytest.raises(GuestError, match="larger than 10 bytes"):
        read(str(tmp_path / "large"))
