# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab needs from the distribution: Debian 12 or later, or Ubuntu 22.04 or later, on amd64."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import LabError
from .process import Progress, run, say

PACKAGES = (
    "busybox-static",
    "cpio",
    "iproute2",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "openssh-client",
    "openssh-server",
    "python3",
    "python3-libvirt",
    "qemu-system-x86",
    "qemu-utils",
    "zstd",
)
SSH_GUEST_PACKAGES = ["dropbear-bin"]  # programs only: dropbear itself would start a server

APT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
LISTS = Path("/var/lib/apt/lists")
LOCK = Path("/run/fleet-rng-lab-apt")


def apt(*arguments: str, cwd: Path | None = None, timeout: float = 900) -> str:
    """Run apt-get or one of its kin; quiet unless it fails."""
    done = subprocess.run(
        list(arguments),
        cwd=cwd,
        env={**os.environ, **APT},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def missing(packages: list[str]) -> list[str]:
    """Those that are not installed."""
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *packages],
        capture_output=True,
        text=True,
        check=False,  # it fails for names that it does not know, and lists the others
    )
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in installed]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Other labs of this machine wait: apt itself waits for nobody who fetches its lists."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refresh(progress: Progress) -> None:
    """Fetch apt's package lists where they are missing or a day old."""
    with _alone():
        _refresh(progress)


def _refresh(progress: Progress) -> None:
    # A successful update renames files into the directory, so its time of change is that of the last one.
    if not any(LISTS.glob("*Release")) or time.time() - LISTS.stat().st_mtime > 86400:
        progress("fetching the lists of packages")
        apt("apt-get", "-qq", "update")


def install(packages: list[str], progress: Progress) -> None:
    """Install what is missing, without recommended packages."""
    if not missing(packages):
        return
    with _alone():
        wanted = missing(packages)
        if wanted:
            _refresh(progress)
            progress(f"installing {', '.join(wanted)}")
            apt("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *wanted)


def download(packages: list[str], into: Path) -> None:
    """Unpack packages into a directory without installing them."""
    debs = into.parent / "debs"
    debs.mkdir(exist_ok=True)
    with _alone():
        _refresh(say)
        apt("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages, cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        run("dpkg-deb", "--extract", deb, into)
        deb.unlink()
