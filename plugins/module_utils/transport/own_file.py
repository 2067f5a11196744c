# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that belong to this collection alone: written and removed as a whole, and nobody else's ever touched."""

from __future__ import annotations

import os
import stat
from typing import Callable, Optional

from ..errors import RngError
from ..text import printable
from .config_file import change, read


class ForeignFileError(RngError):
    """A file that has the name of one of ours, and is somebody else's."""


def current(path: str, ours: Callable[[str], bool]) -> Optional[str]:
    """The content of our file; None where there is none.

    :raises ForeignFileError: when a file is there that is not ours.
    """
    content = read(path)
    if content is not None and not ours(content):
        raise ForeignFileError(f"{printable(path)} is there and was not written by this module: it is left alone")
    return content


def is_executable(path: str) -> bool:
    """Whether everybody may run a file."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode) & 0o555 == 0o555
    except OSError:
        return False


def put(path: str, content: str, ours: Callable[[str], bool], executable: bool = False) -> None:
    """Write our file, with the directories that it needs."""

    def edit(before: str) -> str:
        if before and not ours(before):
            raise ForeignFileError(f"{printable(path)} has just been written by somebody else: it is left alone")
        return content

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        change(path, edit)
        if executable and not is_executable(path):
            os.chmod(path, 0o755)  # noqa: S103 - a boot script, which everybody may read and run
    except OSError as error:
        raise RngError(f"{printable(path)}: {error.strerror or error}") from error


def remove(path: str) -> None:
    """Remove our file; one that has gone meanwhile is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RngError(f"{printable(path)}: {error.strerror or error}") from error
