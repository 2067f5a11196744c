# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes by identity: a pid together with the time its process started, so that a recycled pid is never hit."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

Progress = Callable[[str], None]

PATIENCE = 600.0  # seconds; only what hangs takes longer, however busy the machine is


def say(text: str) -> None:
    """The default progress: one line on standard error, so that standard output stays for answers."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, stdin: str | None = None, timeout: float = PATIENCE) -> str:
    """Run a command that has to succeed, and answer its output."""
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{arguments[0]}: not found") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(arguments)}: no end after {timeout:g} s") from error
    if done.returncode:
        why = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"{' '.join(arguments)}: exit code {done.returncode}: {why}")
    return done.stdout


def wait_for(what: str, ready: Callable[[], bool], timeout: float = PATIENCE, pause: float = 0.02) -> None:
    """Return once ``ready()`` is true; a LabError after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > end:
            raise LabError(f"{what}: not there after {timeout:g} s")
        time.sleep(pause)


@dataclass(frozen=True)
class Process:
    """One process, and no other that may get its pid later."""

    pid: int
    started: int

    @classmethod
    def read(cls, record: Path) -> Process | None:
        """From a file that holds the process's own line of /proc/self/stat."""
        try:
            return cls._parse(record.read_text())
        except (OSError, ValueError, IndexError):
            return None

    @classmethod
    def _parse(cls, stat: str) -> Process:
        # The name in parentheses may hold anything; what follows its end is numbers, the 22nd field the start time.
        before, dummy, after = stat.rpartition(")")
        return cls(int(before.split()[0]), int(after.split()[19]))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return self._parse(stat) == self and stat.rpartition(")")[2].split()[0] != "Z"

    def kill(self, timeout: float = PATIENCE) -> None:
        """End it at once and wait until it is gone; nothing happens when it is gone already."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive():
                return
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            if not select.select([handle], [], [], timeout)[0]:
                raise LabError(f"process {self.pid} does not end")
        finally:
            os.close(handle)
