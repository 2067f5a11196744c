# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from pathlib import Path

from .errors import LabError
from .fleet import Lab, prepare
from .images import cache_directory
from .process import say
from .spec import LabSpec


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Real hypervisors and guests on one machine.")
    parser.add_argument("--state", type=Path, default=cache_directory() / "lab", help="its directory (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sub = commands.add_parser("prepare", help="install packages and build guest images; fast when they are there")
    sub.add_argument("--ssh", action="store_true", help="also the image for guests with SSH and Python")
    sub.add_argument("--distribution", action="store_true", help="also the disk of guests with a distribution")
    sub = commands.add_parser("up", help="boot hosts and guests, and write an inventory")
    sub.add_argument("spec", type=Path, help="YAML or JSON file")
    sub = commands.add_parser("in", help="run a command on a host")
    sub.add_argument("host")
    sub.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD", help="default: a shell")
    sub = commands.add_parser("agent", help="look into a guest through its agent")
    sub.add_argument("host")
    sub.add_argument("guest")
    sub.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="CMD", help="shell command; read FILE; or nothing: its RNG"
    )
    sub = commands.add_parser("draw", help="draw bytes from /dev/hwrng in a guest and time it")
    sub.add_argument("host")
    sub.add_argument("guest")
    sub.add_argument("count", type=int)
    sub.add_argument("--warm-up", type=int, default=0, help="bytes drawn before, which do not count")
    commands.add_parser("show", help="what is up: hosts, addresses, guests")
    commands.add_parser("down", help="end everything and leave nothing behind")
    return parser


def main() -> int:
    """Run one command; 1 when it failed, with the reason on standard error."""
    given = _arguments().parse_args()
    if os.geteuid() != 0:
        kept = [f"{name}={os.environ[name]}" for name in ("PATH", "PYTHONPATH", "XDG_CACHE_HOME") if name in os.environ]
        os.execvp("sudo", ["sudo", "env", *kept, sys.executable, "-m", "lab", *sys.argv[1:]])  # noqa: S606 - no shell is wanted
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that an interrupted `up` cleans up
    try:
        return _run(given)
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


def _run(given: argparse.Namespace) -> int:
    start = time.monotonic()
    if given.command == "prepare":
        images = prepare(given.ssh, distribution=given.distribution)
        say(f"ready after {time.monotonic() - start:.1f} s; images are in {images}")
    elif given.command == "up":
        lab = Lab(LabSpec.load(given.spec), given.state).up()
        say(f"up after {time.monotonic() - start:.1f} s; inventory: {lab.inventory}")
    elif given.command == "down":
        Lab(LabSpec(), given.state).down()
        say(f"down after {time.monotonic() - start:.1f} s")
    else:
        _look(given, Lab.open(given.state))
    return 0


def _look(given: argparse.Namespace, lab: Lab) -> None:
    if given.command == "show":
        for host in lab.hosts.values():
            print(f"{host.name}  ssh -i {lab.key} root@{host.address}")
            for guest in lab.guests:
                if guest.host is host:
                    print(f"    {guest.name}  {guest.spec.machine}  {guest.address or 'agent only'}")
        return
    host = lab.host(given.host)
    if given.command == "in":
        command = host.command(*(given.words or ["bash"]))
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    guest = lab.guest(given.guest, host.name)
    if given.command == "draw":
        drawn = guest.draw(given.count, given.warm_up)
        print(f"{drawn.bytes} B in {drawn.seconds:.2f} s: {drawn.per_second:.0f} B/s")
    elif not given.words:
        print(f"rng_current {guest.rng_current()}  rng_available {' '.join(guest.rng_available())}")
    elif given.words[0] == "read" and len(given.words) == 2:
        sys.stdout.write(guest.read(given.words[1]))
    else:
        sys.stdout.write(guest.run(shlex.join(given.words) if len(given.words) > 1 else given.words[0]))


if __name__ == "__main__":
    sys.exit(main())
