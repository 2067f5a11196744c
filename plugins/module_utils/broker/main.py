# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program: ``virtrngd``, the daemon, and under the name ``virtrngctl`` the command that speaks to it."""

from __future__ import annotations

import os.path
import sys
from typing import List, Optional

from ..errors import RngError
from . import compiled

CONFIG = "/etc/virtrngd/virtrngd.json"
USAGE = f"""\
usage: virtrngd [--config FILE] [--check]
       virtrngd --version | --help

Shares the entropy of this host among its guests: serves QEMU by the EGD protocol, and limits each class of guests.

  --config FILE  read this configuration instead of {CONFIG}
  --check        only say whether program and configuration are sound

Signals: SIGHUP reads the configuration again, SIGUSR2 becomes the program that is installed now; both without a
connection lost. virtrngctl asks the daemon that runs.
"""


def main(version: str, argv: Optional[List[str]] = None) -> int:
    """Run, and return the exit code."""
    program, *arguments = sys.argv if argv is None else argv
    if os.path.basename(program).startswith("virtrngctl"):
        from . import ctl  # which the daemon does not need

        return ctl.main(arguments, version)
    try:
        return _daemon(version, program, arguments)
    except RngError as error:
        # Of a check somebody else says what it is about.
        sys.stderr.write(f"{error}\n" if "--check" in arguments else f"virtrngd: {error}\n")
        return 1


def _daemon(version: str, program: str, arguments: List[str]) -> int:
    path, check = CONFIG, False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--version":
            sys.stdout.write(f"virtrngd {version}\n")
            return 0
        if word in ("--help", "-h"):
            sys.stdout.write(USAGE)
            return 0
        if word == "--check":
            check = True
        elif word == "--config" and rest:
            path = rest.pop(0)
        elif word.startswith("--config="):
            path = word[len("--config=") :]
        else:
            sys.stderr.write(f"virtrngd: {word}: unknown, or without its value\n{USAGE}")
            return 2
    if not check:
        compiled.load(os.environ)
    from . import daemon

    path = os.path.abspath(path)
    if check:
        daemon.read_config(path)
        compiled.save(os.environ)
        return 0
    return daemon.Daemon(version, path, [*_itself(program), "--config", path]).run()


def _itself(program: str) -> List[str]:
    """The command that starts this program again: with the same Python, and whatever is installed by then."""
    flags = ["-I"] * sys.flags.isolated + ["-S"] * sys.flags.no_site
    return [sys.executable, *flags, os.path.abspath(program)]
