# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is there as a whole, or as it was before: for those who read the daemon's status and metrics."""

from __future__ import annotations

import os
import stat
from typing import Optional

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write(path: str, text: str, mode: int = 0o644) -> Optional[str]:
    """Replace a file; the reason when that did not work, and then the old one stays.

    It is not forced onto the disk, which could take long: the daemon has better to do, and soon writes it again.
    """
    directory, name = os.path.split(path)
    # One name and not a random one, so that what a killed daemon leaves behind is taken away by the next.
    unfinished = os.path.join(directory, f".{name}.new")
    made = False
    try:
        if not _replaceable(path):
            return f"cannot write {path}: something is there that is no file"
        descriptor = _create(unfinished)
        made = True
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(text.encode("utf-8", "replace"))
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        os.replace(unfinished, path)
    except (OSError, ValueError) as error:
        if made:
            _remove(unfinished)
        return f"cannot write {path}: {getattr(error, 'strerror', None) or error}"
    return None


def _replaceable(path: str) -> bool:
    """A device or a directory is somebody else's. A link is replaced, not followed."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFLNK)
    except FileNotFoundError:
        return True


def _create(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except FileExistsError:
        os.unlink(path)
        return os.open(path, _FLAGS, 0o600)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # it was renamed, or the directory is gone
