# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's hardware RNG on the machine that this runs on: what it says, telling it which to use, its drivers."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Optional, Tuple

from ..errors import RngError
from ..kernel.boot_files import HW_RANDOM, OPENRC, RUNIT, TMPFILES, UDEV
from ..kernel.choice import Seen, find, interpret_choice
from ..text import printable
from .command import bounded_run

_LOAD_SECONDS = 30
_SETTLE_SECONDS = 10
_SBIN = "/usr/sbin:/sbin"  # which the PATH of a user may lack, also when that user has become root
_APPEAR_SECONDS = 3.0  # from a loaded driver to its device; nearly always none
_MAX_SIZE = 4096

# What tells that a mechanism works here, in the order of preference. systemd-tmpfiles comes last: it names a device,
# which may have another number at the next boot, and it does not wait for the driver.
_SIGNS = {
    UDEV: ("run/udev/control",),
    OPENRC: ("run/openrc",),
    RUNIT: ("etc/runit/core-services",),
    TMPFILES: ("run/systemd/system", "usr/bin/systemd-tmpfiles", "bin/systemd-tmpfiles"),
}
_LOCAL = "etc/init.d/local"
_LOCAL_LINK = "etc/runlevels/default/local"


class HwrngError(RngError):
    """The kernel's hardware RNG cannot be read or told anything here."""


class ModuleError(RngError):
    """A kernel module that cannot be loaded."""


class Machine:
    """The machine below a root directory, which is another one's recorded tree in tests."""

    def __init__(self, root: str = "/") -> None:
        self.root = Path(root)

    def see(self) -> Seen:
        """What the kernel says now."""
        return interpret_choice(*(self._read(f"rng_{name}") for name in ("available", "current", "selected")))

    def use(self, name: str) -> Seen:
        """Tell the kernel to use an RNG, and look what it uses then.

        A kernel that does not know the name says so, or says nothing: whatever it says, what it uses is the answer.

        :raises HwrngError: when nobody can tell this kernel anything here.
        """
        path = self._file("rng_current")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(descriptor, f"{name}\n".encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EINVAL, errno.EIO, errno.ENOENT):
                raise HwrngError(f"{path}: {error.strerror}{_advice(error)}") from error
        return self.see()

    def await_first(self, prefer: Tuple[str, ...]) -> Seen:
        """What the kernel says once the first preference is there, or a moment after its driver was loaded."""
        until = time.monotonic() + _APPEAR_SECONDS
        while True:
            seen = self.see()
            if find(prefer[:1], seen) or time.monotonic() > until:
                return seen
            time.sleep(0.1)

    def _file(self, name: str) -> str:
        return str(self.root / HW_RANDOM.lstrip("/") / name)

    def _read(self, name: str) -> Optional[str]:
        path = self._file(name)
        try:
            with open(path, "rb") as file:
                return file.read(_MAX_SIZE).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HwrngError(f"{path}: {error.strerror}{_advice(error)}") from error

    # Drivers ---------------------------------------------------------------------------------------------------------

    def has_module(self, name: str) -> bool:
        """Whether a kernel module is loaded, or built in, which only its own list says of one without parameters."""
        name = name.replace("-", "_")
        if (self.root / "sys/module" / name).is_dir():
            return True
        try:
            release = (self.root / "proc/sys/kernel/osrelease").read_text(encoding="utf-8").strip()
            builtin = (self.root / "lib/modules" / release / "modules.builtin").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        return any(_module_of(line) == name for line in builtin.splitlines())

    def load(self, name: str) -> None:
        """Load a kernel module.

        :raises ModuleError: when it cannot be loaded.
        """
        try:
            code, dummy, errors = bounded_run([_program("modprobe"), name], _LOAD_SECONDS)
        except RngError as error:
            raise ModuleError(f"modules: {name} cannot be loaded: {error}") from error
        if code:
            said = printable(errors.strip(), 300) or f"modprobe ended with {code}"
            raise ModuleError(f"modules: {name} cannot be loaded: {said}")

    def settle(self) -> None:
        """Wait until udev has done what it has to do, for a moment at most; where nothing can tell, not at all."""
        if not any((self.root / sign).exists() for sign in _SIGNS[UDEV]):
            return
        try:
            bounded_run([_program("udevadm"), "settle", f"--timeout={_SETTLE_SECONDS}"], _SETTLE_SECONDS + 5)
        except RngError:
            pass  # whoever asked looks again in any case

    # Boot ------------------------------------------------------------------------------------------------------------

    def path(self, path: str) -> str:
        """Where a file of the machine is from here."""
        return str(self.root / path.lstrip("/"))

    def mechanisms(self) -> Tuple[str, ...]:
        """What chooses at boot and works here, the best first."""
        return tuple(name for name, signs in _SIGNS.items() if any((self.root / sign).exists() for sign in signs))

    def runs_local_scripts(self) -> bool:
        """Whether some runlevel of OpenRC runs the scripts of /etc/local.d: that is a service, and often off."""
        return any(os.path.lexists(level / "local") for level in (self.root / "etc/runlevels").glob("*"))

    def run_local_scripts(self) -> None:
        """Turn that service on, as ``rc-update add local default`` does."""
        link = self.root / _LOCAL_LINK
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/" + _LOCAL)
        except OSError as error:
            raise HwrngError(f"{link}: {error.strerror}{_advice(error)}") from error


def _program(name: str) -> str:
    """Where a program of root is."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), _SBIN))
    return shutil.which(name, path=path) or name


def _module_of(line: str) -> str:
    """From kernel/drivers/char/hw_random/virtio-rng.ko to virtio_rng."""
    return line.strip().rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def _advice(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "; become may be needed"
    return "; in a container only its host can choose" if error.errno == errno.EROFS else ""
