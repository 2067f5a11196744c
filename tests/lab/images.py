# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds what the guests boot: a distribution's kernel, and an initramfs that is the whole guest.

``agent.initrd`` holds busybox, the QEMU guest agent and the virtio modules; ``ssh.initrd`` also python3 and dropbear,
so that Ansible's modules run in it. Nothing of a lab is inside (address and key come by the kernel's command line), so
one cached image serves every lab.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .errors import LabError
from .packages import SSH_GUEST_PACKAGES, apt, download, install, refresh
from .process import Progress, run

INSIDE = Path(__file__).parent / "inside"
GUEST_INIT = INSIDE / "guest-init.sh"
FAKE_AGENT = INSIDE / "fake-agent.sh"

# Kernels made for virtual machines first: they are small. Each is a package that only depends on the current one.
KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64", "linux-image-generic")

# Built in or a module, by distribution: what is there is copied.
MODULES = (
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_console",
    "rng-core",
    "virtio-rng",
    "failover",
    "net_failover",
    "virtio_net",
)

STDLIB_LEFT_OUT = (
    "__pycache__",
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "config-*",
    "dist-packages",
    "site-packages",
)


def cache_directory() -> Path:
    """Where images are kept, and labs unless told otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(cache if cache and cache.startswith("/") else "/var/tmp", "fleet-rng-lab")  # noqa: S108 - sockets need short paths


def ensure_images(ssh: bool, progress: Progress) -> Path:
    """The directory of the images, built now if need be."""
    recipe = b"".join(path.read_bytes() for path in (Path(__file__), GUEST_INIT, FAKE_AGENT))
    images = cache_directory() / f"images-{hashlib.sha256(recipe).hexdigest()[:12]}"
    images.mkdir(parents=True, exist_ok=True)
    with (images / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (images / "agent.initrd").exists() or (ssh and not (images / "ssh.initrd").exists()):
            _build(images, ssh, progress)
    return images


def _build(images: Path, ssh: bool, progress: Progress) -> None:
    if run("dpkg", "--print-architecture").strip() != "amd64":
        raise LabError("guest images can be built on amd64 only")
    with tempfile.TemporaryDirectory(prefix="build-", dir=images) as work:
        root, unpacked = Path(work, "root"), Path(work, "unpacked")
        root.mkdir()
        unpacked.mkdir()
        refresh(progress)
        progress("downloading the guests' kernel and agent")
        download([*_kernel_packages(), "qemu-guest-agent"], unpacked)
        kernel = _the_one(unpacked, "boot/vmlinuz-*")
        _agent_root(root, unpacked)
        progress("building the guest image with the agent")
        _pack(root, images / "agent.initrd")
        if ssh:
            install(SSH_GUEST_PACKAGES, progress)
            progress("building the guest image with SSH and Python")
            _add_ssh(root)
            _pack(root, images / "ssh.initrd")
        (images / "vmlinuz.new").write_bytes(kernel.read_bytes())
        (images / "vmlinuz.new").rename(images / "vmlinuz")


def kernel_package() -> str:
    """The package that depends on the current kernel."""
    for name in KERNELS:
        try:
            apt("apt-cache", "show", "--no-all-versions", name)
        except LabError:
            continue  # a name of another distribution
        return name
    raise LabError(f"apt knows none of {', '.join(KERNELS)}")


def _kernel_packages() -> list[str]:
    """The current kernel's package, and the one of its modules where the distribution splits them."""
    for name in KERNELS:
        try:
            depends = apt("apt-cache", "depends", "--important", name)
        except LabError:
            continue  # a name of another distribution
        found = re.search(r"Depends: (linux-image-(?:unsigned-)?(\d\S*))", depends)
        if found:
            modules = f"linux-modules-{found[2]}"
            return [found[1], modules] if apt("apt-cache", "pkgnames", modules).split() else [found[1]]
    raise LabError(f"apt knows none of {', '.join(KERNELS)}")


def _agent_root(root: Path, unpacked: Path) -> None:
    for directory in ("bin", "etc", "modules", "usr/bin", "usr/sbin", "var"):
        (root / directory).mkdir(parents=True)
    busybox = shutil.which("busybox")
    if not busybox:
        raise LabError("busybox: not found")
    shutil.copy(busybox, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    shutil.copy(GUEST_INIT, root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(FAKE_AGENT, root / "bin/fake-agent")
    agent = _the_one(unpacked, "usr/sbin/qemu-ga")
    shutil.copy(agent, root / "usr/sbin")
    _copy_libraries(root, [agent])
    for number, name in enumerate(MODULES):
        for module in unpacked.glob(f"**/{name}.ko*"):
            (root / f"modules/{number:02}-{name}.ko").write_bytes(_decompressed(module))


def _add_ssh(root: Path) -> None:
    """Python as it is installed here, and dropbear."""
    python = Path("/usr/bin/python3").resolve()
    stdlib = Path(run("/usr/bin/python3", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))").strip())
    shutil.copy(python, root / "usr/bin")
    (root / "usr/bin/python3").symlink_to(python.name)
    shutil.copytree(stdlib, root / stdlib.relative_to("/"), ignore=shutil.ignore_patterns(*STDLIB_LEFT_OUT))
    dropbear = Path("/usr/sbin/dropbear")
    shutil.copy(dropbear, root / "usr/sbin")
    _copy_libraries(root, [python, dropbear, *(root / stdlib.relative_to("/")).glob("lib-dynload/*.so")])
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/shells").write_text("/bin/sh\n")


def _copy_libraries(root: Path, programs: list[Path]) -> None:
    """Every shared library that the programs load, at the same path as here."""
    for program in programs:
        for line in run("ldd", program).splitlines():
            if "not found" in line:
                raise LabError(f"{program.name} needs {line.strip().split()[0]}, which is not installed here")
            found = re.search(r"(/\S+) \(0x", line)
            if found:
                target = root / found[1].lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found[1], target)


def _decompressed(module: Path) -> bytes:
    if module.suffix == ".xz":
        return lzma.decompress(module.read_bytes())
    if module.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", module], stdout=subprocess.PIPE, check=True).stdout
    return module.read_bytes()


def _pack(root: Path, target: Path) -> None:
    """An initramfs; zstd, because the guest has to unpack it without KVM."""
    new = target.with_suffix(".new")
    names = "\0".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    with new.open("wb") as output:
        cpio = subprocess.Popen(
            ["cpio", "--null", "--create", "--format=newc", "--quiet", "--owner=0:0"],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        zstd = subprocess.Popen(["zstd", "-q", "-3", "-T0", "-c"], stdin=cpio.stdout, stdout=output)
        assert cpio.stdin is not None
        assert cpio.stdout is not None
        cpio.stdout.close()
        cpio.stdin.write(names.encode())
        cpio.stdin.close()
        if cpio.wait() or zstd.wait():
            raise LabError(f"{target.name}: cpio or zstd failed")
    new.rename(target)


def _the_one(directory: Path, pattern: str) -> Path:
    found = sorted(directory.glob(pattern))
    if not found:
        raise LabError(f"{pattern}: not in the downloaded packages")
    return found[-1]
