# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that bytes are read from: which may be opened, what their errors mean, and the kernel's own generator."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Optional, Tuple

from ..errors import RngError

SOUND, STARTING, FAILED, MISSING, STALLED = "sound", "starting", "failed", "missing", "stalled"

# The kernel's "mem" class of devices: null, zero, full, mem and the rest; two of them are RNGs.
_MEMORY, KERNEL_RANDOM = 1, ((1, 8), (1, 9))
HWRNG = (10, 183)
_WATCHDOG = (10, 130)  # opening it starts a countdown to a reset of the host
_SYSFS = "/sys/devices/virtual/misc/hw_random/"
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO)


class CutOffError(RngError):
    """Why a source cannot be used now, and when to try it again."""

    def __init__(self, state: str, why: str, unhealthy: bool = False) -> None:
        super().__init__(why)
        self.state = state
        self.why = why
        self.unhealthy = unhealthy


def kernel_random(size: int) -> Optional[bytes]:
    """Bytes of the kernel's generator, or None before it is ready.

    Never with a call that blocks: Python would hold all its threads meanwhile.
    """
    try:
        data = os.getrandom(size, os.GRND_NONBLOCK)
        while len(data) < size:  # a signal came
            data += os.getrandom(size - len(data), os.GRND_NONBLOCK)
    except BlockingIOError:
        return None
    return data


def check(path: str) -> Tuple[int, int]:
    """The numbers of a device that can be opened and read without harm. Raises CutOffError; nothing is opened."""
    try:
        return _safe(os.stat(path))
    except OSError as error:
        raise explained(error, path) from error


def _safe(status: os.stat_result) -> Tuple[int, int]:
    if not stat.S_ISCHR(status.st_mode):
        raise CutOffError(FAILED, "is no character device")
    number = (os.major(status.st_rdev), os.minor(status.st_rdev))
    if (number[0] == _MEMORY and number not in KERNEL_RANDOM) or _is_watchdog(number):
        raise CutOffError(FAILED, f"device {number[0]}:{number[1]} is no source of randomness")
    return number


def _is_watchdog(number: Tuple[int, int]) -> bool:
    try:
        subsystem = os.readlink(f"/sys/dev/char/{number[0]}:{number[1]}/subsystem")
    except OSError:
        subsystem = ""
    return number == _WATCHDOG or os.path.basename(subsystem) == "watchdog"


def explained(error: OSError, path: str) -> CutOffError:
    """What an error of opening or reading means for the source."""
    said = os.strerror(error.errno or errno.EIO)
    if error.errno in _GONE:
        behind = path == "/dev/hwrng" and error.errno == errno.ENODEV
        return CutOffError(MISSING, f"no hardware RNG is behind it ({said})" if behind else said)
    if error.errno == errno.EACCES:
        # By the node's own name: a link has none in udev, and the kernel may call the device otherwise (hw_random).
        rule = f'ENV{{DEVNAME}}=="{os.path.realpath(path)}", GROUP="{os.getegid()}", MODE="0640"'
        return CutOffError(FAILED, f"this user may not read it ({said}); a udev rule helps: {rule}")
    if error.errno == errno.EPERM:
        return CutOffError(
            FAILED, f"this service may not read it ({said}); DeviceAllow= in its unit gives it the right"
        )
    return CutOffError(FAILED, f"cannot be read: {said}")


def open_device(path: str) -> int:
    """A descriptor of the device that blocks in read(). Raises CutOffError and OSError."""
    number = check(path)
    # Opening some devices waits for somebody on the other side, unless one says not to wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if _safe(os.fstat(descriptor)) != number:
            raise CutOffError(FAILED, "became another device while it was opened")
        if os.isatty(descriptor):  # a serial line would change bytes, wait for ends of lines, and end at a control-D
            _set_raw(descriptor)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _set_raw(descriptor: int) -> None:
    import termios  # few sources are serial lines
    import tty

    try:
        tty.setraw(descriptor, termios.TCSANOW)
    except termios.error as error:
        raise CutOffError(FAILED, f"a line that cannot be told to pass bytes as they are ({error.args[-1]})") from error


def word(name: str) -> str:
    try:
        with open(_SYSFS + name, encoding="ascii", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""


def is_kernel(name: str) -> bool:
    """Whether this source is the kernel's generator, by whatever name, and never blocks once that is ready."""
    if name == "getrandom":
        return True
    try:
        number = check(name)
    except CutOffError:
        return False
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    blocking = release is None or (int(release[1]), int(release[2])) < (5, 6)
    return number in KERNEL_RANDOM and not (number == (1, 8) and blocking)


def number_of(descriptor: int) -> Tuple[int, int]:
    device = os.fstat(descriptor).st_rdev
    return os.major(device), os.minor(device)
