# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real guests alike that draw in turn, one through the broker, the other from the bare server."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from harness import BenchmarkError, Contestant, Goal, Row, Sample, compare
from lab import Lab
from lab.guest import Guest
from lab.spec import GuestSpec, HostSpec, LabSpec
from serving import Broker, Server, bare_c, cpu_of

HOST = "kvm1"
CLASSES = (
    {"name": "prod", "rate": 64 << 20},
    {"name": "gold", "parent": "prod", "rate": 48 << 20},
)
ETC = "/etc/qemu"  # of the host: a directory that is also seen from outside
DEVICE = """
[chardev "rng-server"]
  backend = "socket"
  path = "{path}"
  reconnect = "1"
[object "rng0"]
  qom-type = "rng-egd"
  chardev = "rng-server"
[device "vrng0"]
  driver = "virtio-rng-pci"
  rng = "rng0"
"""


def draws(work: Path, rounds: int, size: int, stack: ExitStack) -> Row:
    """Boot both, let them draw ``size`` bytes in turn, compare."""
    specs = tuple(
        GuestSpec(name, machine="pc", running=False, readconfig=DEVICE.format(path=f"{ETC}/{name}.sock"))
        for name in ("broker", "bare")
    )
    state = Path(tempfile.mkdtemp(prefix="fleet-rng-bench-", dir="/var/tmp"))
    lab = stack.enter_context(Lab(LabSpec((HostSpec(HOST, kind="qemu", guests=specs),)), state))
    there = lab.host(HOST).directory / "qemu"
    broker = stack.enter_context(Broker(work, CLASSES, "guest", places={"gold": there / "broker.sock"}))
    bare = stack.enter_context(bare_c(work, there / "bare.sock"))
    for guest in lab.guests:
        guest.start()
    for guest in lab.guests:
        guest.wait()
        if guest.rng_current() != "virtio_rng.0":
            raise BenchmarkError(f"{guest.who} uses {guest.rng_current()}")
    served = _served(broker)
    servers: dict[str, Server] = {"broker": broker, "bare": bare}
    contestants = [
        Contestant(guest.name, partial(_draw, guest, size, [_qemu(guest), servers[guest.name].pid]))
        for guest in lab.guests
    ]
    done = compare(contestants, rounds)
    served = _served(broker) - served
    if not size * rounds <= served <= 2 * size * (rounds + 1):
        raise BenchmarkError(f"the broker served {served} bytes, the guest drew {size} in each of {rounds} rounds")
    speeds = [size / done.median(spec.name) / 1024 for spec in specs]
    return Row(
        "guest",
        "virtrngd / C",
        f"{size >> 10} KiB at a time",
        done.ratios("bare", "broker"),
        done.ratios("bare", "broker", measure="cpu"),
        goal=Goal(0.8, at_least=True),
        detail=f"{speeds[0]:.0f} KiB/s : {speeds[1]:.0f} KiB/s",
    )


def _draw(guest: Guest, size: int, pids: list[int]) -> Sample:
    before = sum(map(cpu_of, pids))
    drawn = guest.draw(size, 4096)
    cpu = sum(map(cpu_of, pids)) - before
    if drawn.bytes != size:
        raise BenchmarkError(f"{guest.who} drew {drawn.bytes} of {size} bytes")
    return Sample(drawn.seconds, cpu)


def _qemu(guest: Guest) -> int:
    """The process that runs a guest, by the id on its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"-uuid" in words and guest.uuid.encode() in words:
                return int(path.parent.name)
    raise BenchmarkError(f"{guest.who} has no process")


def _served(broker: Broker) -> int:
    return sum(int(found["bytes"]) for found in broker.status()["classes"] if found["name"] == "gold")
