# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files of guests: read within bounds, and replaced as a whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from ..errors import GuestError
from ..text import printable

MAX_SIZE = 1024 * 1024
_LOCK_SECONDS = 10.0
_NEW_MODE = 0o644

Check = Callable[[str, os.stat_result], None]


def read(path: str, check: Optional[Check] = None) -> Optional[str]:
    """The text of a file, whatever its bytes are; None when there is none.

    :param check: raises GuestError where the file is not to be read. It is told what the path led to, and what that is;
        nobody can put something else into its place between that and the reading.
    :raises GuestError: when it cannot be read, or is no file of that kind.
    """
    try:
        # That opens nothing yet: some devices act as soon as they are opened.
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _error(path, error) from error
    here = f"/proc/self/fd/{handle}"
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise GuestError(f"{printable(path)} is no regular file")
        if check is not None:
            check(os.readlink(here), status)
        with open(here, "rb") as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise _error(path, error) from error
    finally:
        os.close(handle)
    if len(content) > MAX_SIZE:
        raise GuestError(f"{printable(path)} is larger than {MAX_SIZE} bytes")
    return content.decode("utf-8", "surrogateescape")


def change(path: str, edit: Callable[[str], str]) -> None:
    """Replace a file by what ``edit`` makes of it, with its owner, mode and labels. A link stays one.

    Nobody sees half a file, and two of us do not undo each other's change.

    :raises GuestError: when it cannot be written; then it is as it was.
    """
    path = os.path.realpath(path)
    try:
        with _locked(os.path.dirname(path)):
            before = read(path)
            after = edit(before or "")
            if after != before:
                _replace(path, after.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise _error(path, error) from error


def _replace(path: str, content: bytes) -> None:
    directory = os.path.dirname(path)
    descriptor, new = tempfile.mkstemp(prefix=".fleet-rng-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _take_over(path, descriptor)
            os.fsync(descriptor)
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_over(path: str, descriptor: int) -> None:
    try:
        old = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, _NEW_MODE)
        return
    os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    try:
        for name in os.listxattr(path):  # SELinux's label and ACLs among them
            os.setxattr(descriptor, name, os.getxattr(path, name))
    except OSError:
        pass  # as well as it goes: a file system may not have them


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Keep other runs of ours from this directory meanwhile."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    until = time.monotonic() + _LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _error(path: str, error: Exception) -> GuestError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "; become may be needed" if isinstance(error, PermissionError) else ""
    return GuestError(f"{printable(path)}: {printable(why, 100)}{hint}")
