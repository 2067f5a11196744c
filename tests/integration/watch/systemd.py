# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd that really runs, as the first process of a PID namespace inside a lab host."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Host
from lab.errors import LabError
from lab.process import PATIENCE, Process, wait_for

BOOT = Path(__file__).parent / "inside" / "boot-systemd.sh"
PORT = "2222"
SSHD = (
    *("/usr/sbin/sshd", "-p", PORT, "-E", "/run/sshd-systemd.log", "-f", "/dev/null"),
    *("-h", "/run/lab/host/ssh_host_ed25519_key", "-o", "PidFile=/run/sshd-systemd.pid", "-o", "UsePAM=no"),
    *("-o", "UseDNS=no", "-o", "StrictModes=no", "-o", "PermitRootLogin=prohibit-password"),
    *("-o", "AuthorizedKeysFile=/run/lab/host/authorized_keys", "-o", "Subsystem=sftp internal-sftp"),
)


class Systemd:
    """systemd on a lab host. systemctl only talks to it from its own PID namespace, which PORT leads to by SSH."""

    def __init__(self, host: Host) -> None:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        hierarchies = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
        if not hierarchies:
            raise LabError("there is no cgroup2 file system on this machine")
        self.host = host
        self.cgroup = Path(hierarchies[0], f"fleet-rng-watch-{os.getpid()}")
        self._starter = subprocess.Popen(
            [BOOT, self.cgroup, str(host.process().pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._first: Process | None = None

    def wait(self) -> None:
        """Return when units can be started, with a journal and an SSH server of its own."""
        wait_for("systemd", self._up)
        self.check("systemctl", "start", "systemd-journald.socket", "systemd-journald.service")
        self.check(*SSHD)
        # It goes to the background before it listens.
        wait_for("its SSH server", lambda: self.run("test", "-s", "/run/sshd-systemd.pid").returncode == 0)

    def _up(self) -> bool:
        if self._starter.poll() is not None:
            error = self._starter.stderr.read().decode() if self._starter.stderr else ""
            raise LabError(f"systemd ended: {error.strip()}")
        return bool(self.process()) and self.run("systemctl", "is-system-running").stdout.strip() == "running"

    def process(self) -> Process | None:
        """systemd's own process; None while it is not there."""
        if self._first is None:
            self._first = next(self._found(), None)
        return self._first

    def _found(self) -> Iterator[Process]:
        for directory, *dummy in os.walk(self.cgroup):  # passes over what goes away meanwhile, unlike rglob
            with contextlib.suppress(OSError):
                for pid in Path(directory, "cgroup.procs").read_text().split():
                    process = Process.read(Path("/proc", pid, "stat"))
                    if process and _is_systemd(pid):
                        yield process

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        process = self.process()
        assert process, "systemd is not there"
        enter = ["nsenter", "-t", str(process.pid), "-m", "-n", "-u", "-p", "-i", "-C", "-r", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, timeout=PATIENCE, check=False)

    def check(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What systemd says of a unit."""
        shown = self.check("systemctl", "show", unit, *(f"--property={name}" for name in names))
        return dict(line.split("=", 1) for line in shown.splitlines())

    def kill(self) -> None:
        """End it, and with it all that it runs; what only a running systemd has on the host goes, too."""
        process = self.process()
        if process:
            process.kill()
        self._starter.wait(PATIENCE)
        if self._starter.stderr:
            self._starter.stderr.close()
        self.host.check("rm", "-rf", "/run/systemd")
        wait_for("the end of systemd's processes", self._swept)

    def _swept(self) -> bool:
        try:
            for path in sorted(self.cgroup.rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
            self.cgroup.rmdir()
        except OSError:
            return False
        return True


def _is_systemd(pid: str) -> bool:
    """Whether a process is the first one of its PID namespace, and systemd already."""
    try:
        status = Path("/proc", pid, "status").read_text()
        comm = Path("/proc", pid, "comm").read_text()
    except OSError:  # ended meanwhile
        return False
    return bool(re.search(r"^NSpid:.*\t1$", status, re.MULTILINE)) and comm == "systemd\n"


@contextlib.contextmanager
def booted(host: Host) -> Iterator[Systemd]:
    """systemd on a lab host until the end of the block; who needs it is skipped where the machine has no cgroup2."""
    try:
        systemd = Systemd(host)
    except LabError as error:
        pytest.skip(str(error))
    try:
        systemd.wait()
        yield systemd
    finally:
        systemd.kill()
