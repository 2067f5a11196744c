# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own files, and everybody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.module_utils.transport import own_file


def ours(content: str) -> bool:
    return content.startswith("ours")


def test_written_read_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "a/b/file"
    assert own_file.current(str(path), ours) is None
    own_file.put(str(path), "ours 1", ours)
    assert own_file.current(str(path), ours) == "ours 1"
    assert path.stat().st_mode & 0o777 == 0o644
    assert not own_file.is_executable(str(path))
    own_file.put(str(path), "ours 2", ours, executable=True)
    assert own_file.current(str(path), ours) == "ours 2"
    assert own_file.is_executable(str(path))
    assert [child.name for child in path.parent.iterdir()] == ["file"], "nothing half written is left"
    own_file.remove(str(path))
    assert not path.exists()
    own_file.remove(str(path))


def test_nobody_elses_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("theirs")
    with pytest.raises(own_file.ForeignFileError, match="was not written by this module: it is left alone"):
        own_file.current(str(path), ours)
    with pytest.raises(own_file.ForeignFileError, match="has just been written by somebody else"):
        own_file.put(str(path), "ours", ours)
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("kind", ["directory", "link to /dev/null"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(RngError, match="is no regular file"):
        own_file.current(str(path), ours)
    with pytest.raises(RngError):
        own_file.put(str(path), "ours", ours)
    if kind == "directory":
        with pytest.raises(RngError, match="file: Is a directory"):
            own_file.remove(str(path))


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RngError, match=r"Not a directory|File exists"):
        own_file.put(str(tmp_path / "file/below/x"), "ours", ours)
