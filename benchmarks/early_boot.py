# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how early a guest's random numbers are ready, with and without a virtio RNG: benchmarks/early_boot.py --help.

The guests have no other source: a processor without RDRAND and RDSEED, and a kernel that is told to trust neither the
processor nor the boot loader. They run under TCG with a clock that counts instructions: a busy machine makes them slow,
and does not change what they measure.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import platform
import re
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # where the lab is

from lab.errors import LabError
from lab.fleet import require_root
from lab.images import cache_directory, ensure_images
from lab.packages import PACKAGES, apt, install
from lab.process import run

HERE = Path(__file__).resolve().parent
QEMU = "qemu-system-x86_64"
ARGUMENTS = (
    "console=ttyS0 loglevel=6 printk.time=1 no_timer_check panic=1 random.trust_cpu=off random.trust_bootloader=off"
)
DEVICE = ("-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0,id=vrng0")
CLOCK = ("-icount", "shift=0,sleep=off")  # a nanosecond for an instruction; when nothing runs, on to the next timer
BOOTS = 900  # seconds of this machine for a boot

# Kernels of Ubuntu 18.04 as it was released: without what makes entropy from timing when somebody waits (Linux 5.4).
# One has the driver as a module, the other built in. The hashes are what vouches for the packages.
OLD_SOURCE = "deb [arch=amd64 trusted=yes] http://archive.ubuntu.com/ubuntu bionic main\n"
OLD = {
    "linux-image-4.15.0-20-generic": "b92991dc7c21f0212978f17e043d32a7551fc12dd1d9365434f803a25cd1adf8",
    "linux-modules-4.15.0-20-generic": "c829da8d8fc3f4941ee7f2972b5c932bf728279c49cad0836a48238cb2875217",
    "linux-image-4.15.0-1008-kvm": "d41c64d9a50d743a46e5773625d9ec5eb6599a33e4d5f62df7bd543c9780d896",
}

LINE = re.compile(rb"\[ *([0-9]+\.[0-9]+)\] (random: crng init done|early_boot: (.*?))\r?\n")


@dataclass(frozen=True)
class Kernel:
    """A kernel with an initramfs that holds its drivers, in the order in which to load them."""

    name: str
    image: Path
    modules: tuple[Path, ...]

    @property
    def driver(self) -> str:
        return "a module in the initramfs" if any("rng" in path.name for path in self.modules) else "built in"


@dataclass(frozen=True)
class Boot:
    """One boot, in seconds of the kernel's clock; ``ready`` is None when that did not come in time."""

    user: float
    asks: float
    ready: float | None
    seen: float  # when it was given up
    uses: str

    @property
    def ready_or_more(self) -> float:
        return self.seen if self.ready is None else self.ready

    @property
    def waits(self) -> float:
        """How long a program waits that asks as the first one in user space."""
        return max(0.0, self.ready_or_more - self.asks)


def main() -> int:
    """Fetch the kernels, boot each in pairs, print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks/early_boot.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of boots of each kernel (3)")
    parser.add_argument(
        "--limit", type=int, default=60, help="seconds of the guest's time before a boot is given up (60)"
    )
    parser.add_argument("--no-old", action="store_true", help="only this distribution's kernel")
    given = parser.parse_args()
    if not 1 <= given.rounds <= 100 or not 1 <= given.limit <= 3600:
        parser.error("--rounds is 1 to 100, --limit 1 to 3600")
    try:
        require_root()
        install(list(PACKAGES), say)
        with tempfile.TemporaryDirectory(prefix="fleet-rng-early-") as work:
            rows = [
                row for kernel in kernels(Path(work), not given.no_old) for row in measure(kernel, given, Path(work))
            ]
    except LabError as error:
        print(f"early_boot: error: {error}", file=sys.stderr)
        return 1
    print("\n".join(circumstances(given.rounds)))
    print()
    print("| Kernel | virtio_rng | | Without the device | With it | Without / with |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


def say(text: str) -> None:
    """Progress goes to standard error, the table to standard output."""
    print(f"early_boot: {text}", file=sys.stderr, flush=True)


def kernels(work: Path, old: bool) -> Iterator[Kernel]:
    """The kernel of the lab's guests, and old ones where they can be had."""
    images = ensure_images(False, say)
    unpacked = work / "lab"
    unpacked.mkdir()
    archive = subprocess.run(["zstd", "-dcq", images / "agent.initrd"], stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["cpio", "--extract", "--quiet", "--make-directories"], cwd=unpacked, input=archive, check=True)
    found = sorted((unpacked / "modules").iterdir())
    # All of them are numbered; of these two the second needs the first.
    order = (
        "virtio_ring",
        "virtio",
        "virtio_pci_legacy_dev",
        "virtio_pci_modern_dev",
        "virtio_pci",
        "rng-core",
        "virtio-rng",
    )
    modules = [path for name in order for path in found if path.name.partition("-")[2] == f"{name}.ko"]
    yield Kernel(release(images / "vmlinuz"), images / "vmlinuz", tuple(modules))
    if not old:
        return
    try:
        packages = fetch_old()
    except LabError as error:
        say(f"no kernel before 5.4: {error}")
        return
    for package in packages:
        run("dpkg-deb", "--extract", package, work / "old")
    for image in sorted((work / "old/boot").glob("vmlinuz-*")):
        drivers = (work / "old/lib/modules" / image.name.partition("-")[2]).rglob("virtio-rng.ko")
        yield Kernel(release(image), image, tuple(drivers))


def release(image: Path) -> str:
    """The release that a kernel's image says it is, by the boot protocol of x86."""
    content = image.read_bytes()
    start = int.from_bytes(content[0x20E:0x210], "little") + 0x200
    return content[start : start + 200].partition(b" ")[0].decode("ascii", "replace")


def fetch_old() -> list[Path]:
    """Packages of another distribution, by apt with a state of its own; nothing is installed."""
    cache = cache_directory() / "early-boot"
    packages = [path for name in OLD for path in cache.glob(f"{name}_*.deb")]
    if len(packages) < len(OLD):
        say("downloading old kernels")
        for name in ("lists/partial", "cache/archives/partial"):
            (cache / name).mkdir(parents=True, exist_ok=True)
        (cache / "sources.list").write_text(OLD_SOURCE)
        own = (
            f"Etc::sourcelist={cache}/sources.list",
            "Etc::sourceparts=-",
            f"State::lists={cache}/lists",
            f"Cache={cache}/cache",
        )
        options = [word for one in own for word in ("-o", f"Dir::{one}")] + ["-o", "APT::Sandbox::User=root"]
        apt("apt-get", *options, "-qq", "update")
        apt("apt-get", *options, "-qq", "download", "--allow-unauthenticated", *OLD, cwd=cache)
        packages = [path for name in OLD for path in cache.glob(f"{name}_*.deb")]
    for path in packages:
        if hashlib.sha256(path.read_bytes()).hexdigest() != OLD[path.name.partition("_")[0]]:
            path.unlink()
            raise LabError(f"{path.name} is not the package that is expected")
    return packages


def initramfs(kernel: Kernel, work: Path) -> Path:
    """What the guest boots: busybox, our init, the drivers."""
    root = work / f"root-{kernel.name}"
    for directory in ("bin", "modules"):
        (root / directory).mkdir(parents=True)
    (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "init").write_bytes((HERE / "inside/early-init.sh").read_bytes())
    for path in ("bin/busybox", "init"):
        (root / path).chmod(0o755)
    (root / "bin/sh").symlink_to("busybox")
    for number, module in enumerate(kernel.modules):
        (root / f"modules/{number}-{module.name}").write_bytes(module.read_bytes())
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    command = ["cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"]
    packed = subprocess.run(command, cwd=root, input=names.encode(), stdout=subprocess.PIPE, check=True).stdout
    image = work / f"{kernel.name}.gz"
    image.write_bytes(gzip.compress(packed, 1))
    return image


def measure(kernel: Kernel, given: argparse.Namespace, work: Path) -> Iterator[str]:
    """The rows of one kernel. Each pair is booted one right after the other, in turning order."""
    image = initramfs(kernel, work)
    say(f"{kernel.name}, driver: {kernel.driver}")
    boots: dict[bool, list[Boot]] = {False: [], True: []}
    for number in range(given.rounds):
        for device in (False, True) if number % 2 else (True, False):
            boot = boot_once(kernel, image, device, given.limit)
            if boot.uses != ("virtio_rng.0" if device else "none"):
                raise LabError(f"{kernel.name}: the guest uses {boot.uses!r}")
            boots[device].append(boot)
            say(f"  {'with' if device else 'without'}: {boot}")
    without, with_ = boots[False], boots[True]
    ratios = [one.ready_or_more / other.ready_or_more for one, other in zip(without, with_, strict=True)]
    never = ["> " if any(boot.ready is None for boot in some) else "" for some in (without, with_)]
    yield (
        f"| {kernel.name} | {kernel.driver} | ready, since the kernel began "
        f"| {never[0]}{spread([boot.ready_or_more for boot in without])} s "
        f"| {never[1]}{spread([boot.ready_or_more for boot in with_])} s | {never[0]}{spread(ratios)} |"
    )
    yield (
        "| | | user space began "
        f"| {spread([boot.user for boot in without])} s | {spread([boot.user for boot in with_])} s | |"
    )
    yield (
        "| | | the first program that asks waits "
        f"| {never[0]}{spread([boot.waits for boot in without])} s "
        f"| {never[1]}{spread([boot.waits for boot in with_])} s | |"
    )


def boot_once(kernel: Kernel, image: Path, device: bool, limit: int) -> Boot:
    """Boot until the random numbers are ready, or user space has run for so many seconds of the guest."""
    command = [
        QEMU,
        "-M",
        "q35,accel=tcg",
        *CLOCK,
        "-cpu",
        "qemu64",
        "-m",
        "256",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
    ]
    command += ["-display", "none", "-serial", "stdio", "-kernel", str(kernel.image), "-initrd", str(image)]
    command += ["-append", f"{ARGUMENTS} early_boot.limit={limit}", *(DEVICE if device else ())]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert guest.stdout is not None
    said: dict[str, float] = {}
    uses, console, until = "", b"", time.monotonic() + BOOTS
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(guest.stdout, selectors.EVENT_READ)
            while not {"ready", "uses"} <= set(said) and "ends" not in said:
                if not selector.select(until - time.monotonic()):
                    raise LabError(f"{kernel.name} did not boot: {console[-500:].decode(errors='replace')}")
                part = os.read(guest.stdout.fileno(), 65536)
                if not part:
                    raise LabError(f"{kernel.name}: QEMU ended: {console[-500:].decode(errors='replace')}")
                console += part
                for stamp, _what, text in LINE.findall(console):
                    word, _space, rest = text.decode().partition(" ") if text else ("ready", "", "")
                    if word == "instructions" and rest != ".":
                        raise LabError(f"the guest's processor has {rest}")
                    uses = rest if word == "uses" else uses
                    said.setdefault(word, float(stamp))
    finally:
        guest.kill()
        guest.wait()
        guest.stdout.close()
    return Boot(said["user"], said["asks"], said.get("ready"), said.get("ends", 0.0), uses)


def spread(values: Sequence[float]) -> str:
    """The median, and the range in brackets."""
    digits = 3 if max(values) < 10 else 1
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def circumstances(rounds: int) -> list[str]:
    """When and with what."""
    version = run(QEMU, "--version").split()[3]
    today = datetime.now(tz=UTC).date().isoformat()
    load = os.getloadavg()[1]
    host = f"{os.cpu_count()} processors, Linux {platform.release()}, load {load:.1f}"
    return [f"{today}: QEMU {version}, TCG ({' '.join(CLOCK)}), processor qemu64; {host}; {rounds} pairs of boots."]


if __name__ == "__main__":
    sys.exit(main())
