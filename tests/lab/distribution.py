# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the disk of guests that run a real distribution: this machine's own release, small, with its own boot loader.

It has systemd, udev, initramfs-tools, GRUB, SSH, Python and the guest agent, so what is changed in such a guest shows
after its reboot. No part of the disk is ever mounted here, and no partitioning tool is needed: the first sector, GRUB's
core image behind it, and one file system that mke2fs fills.
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
import struct
import tempfile
from pathlib import Path

from .errors import LabError
from .images import kernel_package
from .packages import apt, install, refresh
from .process import Progress, run

INSIDE = Path(__file__).parent / "inside" / "disk"
BUILDERS = ("e2fsprogs", "mmdebstrap")
PACKAGES = (
    "grub-pc-bin",
    "grub2-common",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "openssh-server",
    "python3",
    "qemu-guest-agent",
    "systemd-sysv",
    "udev",
)
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
ORIGINS = ("Debian", "Ubuntu")

SECTOR = 512
FIRST = 2048  # sector of the file system, behind a core image of at most a MiB
SECTORS = 1536 * 1024 * 1024 // SECTOR
# What GRUB can read in every release: newer defaults of mke2fs, such as metadata_csum_seed, it may not.
FEATURES = "none,has_journal,ext_attr,dir_index,filetype,extent,sparse_super,large_file,resize_inode"


def disk_name() -> str:
    """The file of the disk below the directory of the images; another recipe has another name."""
    recipe = [path.read_bytes() for path in (Path(__file__), *sorted(INSIDE.rglob("*"))) if path.is_file()]
    return f"distribution-{hashlib.sha256(b''.join(recipe)).hexdigest()[:12]}.img"


def ensure_disk(images: Path, progress: Progress) -> None:
    """Build the disk now if need be."""
    with (images / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (images / disk_name()).exists():
            _build(images, progress)


def _build(images: Path, progress: Progress) -> None:
    install(list(BUILDERS), progress)
    refresh(progress)
    sources = _sources()
    progress("building the disk of guests with a distribution")
    with tempfile.TemporaryDirectory(prefix="build-", dir=images) as work:
        root, new = Path(work, "root"), Path(work, "new.img")
        files = f'cp -R {shlex.quote(str(INSIDE))}/etc {shlex.quote(str(INSIDE))}/usr "$1"'
        apt(
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
            "--include=" + ",".join((*PACKAGES, kernel_package())),
            f"--essential-hook={files}",  # before the packages that use them are configured
            f'--customize-hook={shlex.quote(str(INSIDE / "build.sh"))} "$1"',
            sources[0].split()[2], str(root), *sources,
        )  # fmt: skip
        grub = root / "boot/grub"
        _write_disk(new, (grub / "i386-pc/boot.img").read_bytes(), (grub / "core.img").read_bytes())
        size = f"{(SECTORS - FIRST) * SECTOR // 1024}k"
        run(
            "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", FEATURES,
            "-E", f"offset={FIRST * SECTOR}", "-d", root, new, size,
        )  # fmt: skip
        new.rename(images / disk_name())


def _sources() -> list[str]:
    """The distribution's own repositories as this machine has them, with the release itself first."""
    asked = "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(SUITE)|$(COMPONENT)"
    listed = apt("apt-get", "indextargets", "--format", asked, "Created-By: Packages")
    found = set()
    for line in listed.splitlines():
        origin, uri, codename, suite, component = line.split("|")
        # Ubuntu's pockets all have the codename of the release, and tell themselves apart by suite only.
        release = codename if "-" in codename or origin == "Debian" else suite
        if origin in ORIGINS and component in ("main", "universe"):
            found.add(f"deb {uri} {release} {component}")
    if not found:
        raise LabError("apt has no repository of Debian or Ubuntu")
    return sorted(found, key=lambda line: (len(line.split()[2]), line))


def _write_disk(path: Path, boot: bytes, core: bytes) -> None:
    """An empty disk with one partition. GRUB's first sector by itself loads what begins in the second one."""
    if len(core) > (FIRST - 1) * SECTOR:
        raise LabError(f"GRUB's core image of {len(core)} bytes does not fit before the first partition")
    # Active, of type Linux; addresses of cylinder, head and sector that say "too large for these".
    partition = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", FIRST, SECTORS - FIRST)
    sector = boot[:440].ljust(446, b"\0") + partition + bytes(3 * len(partition)) + b"\x55\xaa"
    with path.open("wb") as disk:
        disk.truncate(SECTORS * SECTOR)
        disk.write(sector + core)
