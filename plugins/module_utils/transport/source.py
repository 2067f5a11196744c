# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this source safe to give to a guest? Asked on the host, before anything is attached.

QEMU aborts when a source cannot be read and freezes on one that ends, so what is refused here would have killed
the guest. Every check is bounded in time and reads a few bytes at most.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from typing import Any, Callable, List, Optional, Tuple

from ..device import Source
from ..errors import MissingSourceError, UnsafeSourceError

SECONDS = 2.0
_BYTES = 16

_MEMORY_MAJOR = 1  # the kernel's "mem" class: null, zero, full, mem, port and the rest; two of them are RNGs
_RANDOM_MINORS = (8, 9)
_MISC_WATCHDOG = (10, 130)  # opening it starts a countdown to a reset of the host
_HWRNG = (10, 183)
_HWRNG_CURRENT = "/sys/devices/virtual/misc/hw_random/rng_current"

QemuUser = Optional[Tuple[int, int]]


def check_source(source: Source, qemu_user: QemuUser = None) -> None:
    """Raise UnsafeSourceError, with the reason, unless a guest can live on this source.

    :param qemu_user: (uid, gid) that QEMU runs as; devices and sockets are tried with those rights.
    """
    user = qemu_user or (os.geteuid(), os.getegid())
    if source.kind == "random":
        _check_device(source.path, user)
    elif source.kind == "egd" and source.transport == "unix":
        _check_connects(source, user, socket.AF_UNIX, source.path)
    elif source.kind == "egd" and source.transport == "tcp":
        _check_connects(source, user, *_resolve(source, socket.SOCK_STREAM))
    elif source.kind == "egd":
        _resolve(source, socket.SOCK_DGRAM)  # UDP has no answer to wait for: the name is all that can be checked


def _check_device(path: str, user: Tuple[int, int]) -> None:
    check_openable(path)
    _try_device(path, user)


def check_openable(path: str) -> None:
    """Raise UnsafeSourceError unless this is a device that can be opened and read without harm. Nothing is opened."""
    replaceable = _replaceable_at(path)
    if replaceable:
        raise UnsafeSourceError(
            f"source {path}: others than root can write to {replaceable}, so it could become another file at any time"
        )
    try:
        status = os.stat(path)
    except OSError as error:
        dangling = " (a dangling link)" if os.path.islink(path) else ""
        kind = MissingSourceError if error.errno in (errno.ENOENT, errno.ENOTDIR) else UnsafeSourceError
        raise kind(f"source {path}: {os.strerror(error.errno or 0)}{dangling}") from error
    if not stat.S_ISCHR(status.st_mode):
        raise UnsafeSourceError(f"source {path}: is {_kind(status.st_mode)}, only a character device is safe")
    number = (os.major(status.st_rdev), os.minor(status.st_rdev))
    if (number[0] == _MEMORY_MAJOR and number[1] not in _RANDOM_MINORS) or _is_watchdog(number):
        raise UnsafeSourceError(f"source {path}: device {number[0]}:{number[1]} is no source of randomness")
    if (number == _HWRNG or path == "/dev/hwrng") and _hwrng_current() in ("", "none"):
        raise UnsafeSourceError(f"source {path}: the kernel of this host has no hardware RNG selected (rng_current)")


def _replaceable_at(path: str) -> str:
    """The first directory on the way to the device in which others than root could swap something, or nothing.

    Step by step as the kernel goes, since a link leads through directories that the path does not name.
    """
    directory, ahead, links = "/", path.split("/"), 0
    while ahead:
        try:
            status = os.stat(directory)
            if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return directory
            part, *ahead = ahead
            entry = os.path.join(directory, part)
            if part == "..":
                directory = os.path.dirname(directory)
            elif part not in ("", ".") and os.path.islink(entry):
                links += 1
                target = os.readlink(entry)
                directory, ahead = "/" if target.startswith("/") else directory, target.split("/") + ahead
            elif part not in ("", "."):
                directory = entry
        except OSError:
            break  # the device's own stat() says it better
        if links > 40:  # as many as the kernel follows
            break
    return ""


def _is_watchdog(number: Tuple[int, int]) -> bool:
    try:
        subsystem = os.path.basename(os.readlink(f"/sys/dev/char/{number[0]}:{number[1]}/subsystem"))
    except OSError:
        subsystem = ""
    return number == _MISC_WATCHDOG or subsystem == "watchdog"


def _hwrng_current() -> str:
    try:
        with open(_HWRNG_CURRENT, encoding="ascii", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return name
    return "of another kind"


def _try_device(path: str, user: Tuple[int, int]) -> None:
    code = _errno_as(user, lambda: _read_some(path))
    if code == errno.EACCES and os.geteuid() not in (0, user[0]):
        raise UnsafeSourceError(
            f"source {path}: this user may not read it, so it cannot be tried; become root for that"
        )
    if code == errno.EACCES:
        # By the node's own name: a link has none in udev, and the kernel may call the device otherwise (hw_random).
        rule = f'ENV{{DEVNAME}}=="{os.path.realpath(path)}", GROUP="{user[1]}", MODE="0640"'
        raise UnsafeSourceError(
            f"source {path}: QEMU (uid {user[0]}, gid {user[1]}) may not read it; a udev rule helps: {rule};"
            " rng_host_permissions of the role rng_host sets one"
        )
    if code == errno.ENODATA:
        raise UnsafeSourceError(f"source {path}: gives no bytes; a guest would freeze on it")
    if code:
        raise UnsafeSourceError(f"source {path}: cannot be read: {os.strerror(code)}")


def _errno_as(user: Tuple[int, int], attempt: Callable[[], int]) -> int:
    """What ``attempt`` returns with the rights of ``user``, in a child process where the module itself is root."""
    uid, gid = user
    if os.geteuid() == uid or os.geteuid() != 0:
        return attempt()
    groups = _groups(uid, gid)  # not in the child, which has but one of the threads that may hold a lock
    child = os.fork()
    if child == 0:
        code = errno.EIO
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            code = attempt()
        except OSError as error:
            code = error.errno or errno.EIO
        finally:  # whatever happens: a second module must not go on from here
            os._exit(min(code, 255))
    return os.WEXITSTATUS(os.waitpid(child, 0)[1])


def _read_some(path: str) -> int:
    """An errno; 0 when bytes came within the time limit."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        return error.errno or errno.EIO
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(SECONDS * 1000)  # a slow hardware RNG may need a moment for its first byte
        return 0 if os.read(descriptor, _BYTES) else errno.ENODATA
    except BlockingIOError:
        return errno.ENODATA
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        os.close(descriptor)


def _groups(uid: int, gid: int) -> List[int]:
    import pwd  # only where QEMU has a user of its own

    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]


def _check_connects(source: Source, user: Tuple[int, int], family: int, address: Any) -> None:
    code = _errno_as(user, lambda: _connect(family, address))
    if code:
        raise UnsafeSourceError(f"source {source}: nobody accepts there ({os.strerror(code)})")


def _connect(family: int, address: Any) -> int:
    """An errno; 0 when somebody accepted within the time limit."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(SECONDS)
        try:
            probe.connect(address)
        except socket.timeout:  # its errno is not set
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno or errno.ENAMETOOLONG  # the one that Python raises without a number
    return 0


def _resolve(source: Source, kind: int) -> Tuple[int, Any]:
    try:
        first = socket.getaddrinfo(source.host, source.port, type=kind)[0]
    except OSError as error:
        raise UnsafeSourceError(f"source {source}: {error.strerror or error}") from error
    except UnicodeError as error:  # a label of the name is empty or too long
        raise UnsafeSourceError(f"source {source}: is no valid host name") from error
    return first[0], first[4]
