# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor of the demo: its slow source, its broker, and looks at that while guests draw."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import TracebackType

from lab import Guest, Host, LabError
from lab.process import wait_for

from .counters import Sample

SOURCE = "/dev/slowrng"
PROGRAM = "/usr/local/lib/slow_source.py"
EVERY = 1.0  # seconds between two looks

# What the role says an init script has to do, where there is no systemd.
START = """
install -d -o virtrngd -m 0755 /run/virtrngd
setsid setpriv --reuid=virtrngd --regid=virtrngd --groups=kvm --no-new-privs \
    /usr/local/sbin/virtrngd --config /etc/virtrngd/virtrngd.json < /dev/null > /var/log/virtrngd.log 2>&1 &
"""


def start_source(host: Host, rate: int) -> None:
    """A character device that gives ``rate`` bytes per second. It ends with the host."""
    host.write(PROGRAM, (Path(__file__).parent / "slow_source.py").read_text())
    command = f"setsid /usr/bin/python3 {PROGRAM} {SOURCE} {rate} < /dev/null > /var/log/slow-source.log 2>&1 &"
    host.check("sh", "-c", command)
    wait_for(f"{host.name}: {SOURCE}", lambda: host.run("test", "-c", SOURCE).returncode == 0)


def start_broker(host: Host) -> None:
    """As an init script would. It ends with the host."""
    host.check("sh", "-c", START)
    try:
        wait_for(f"{host.name}: virtrngd", lambda: host.run("virtrngctl", "status").returncode == 0, pause=0.2)
    except LabError as error:
        raise LabError(f"{error}: {host.run('tail', '/var/log/virtrngd.log').stdout}") from error


def top(host: Host, width: int) -> str:
    """One frame of the broker's live view."""
    return host.check("env", f"COLUMNS={width}", "virtrngctl", "top", "--once", "--interval", "2")


class Watch:
    """Looks at the broker every second, until it is left."""

    def __init__(self, host: Host) -> None:
        self.samples: list[Sample] = []
        self._host = host
        self._over = threading.Event()
        self._error: LabError | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self.look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(60)
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self.look()
            except LabError as error:
                self._error = error
                return

    def look(self) -> Sample:
        """One look, now."""
        sample = Sample.parse(json.loads(self._host.check("virtrngctl", "status", "--json", timeout=60)))
        self.samples.append(sample)
        return sample


class Reader:
    """A guest that reads its /dev/hwrng without a pause, or is idle."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._pid: int | None = None

    def be(self, busy: bool) -> None:
        """Begin, end, or go on."""
        if busy and self._pid is None:
            self._pid = self.guest.launch("exec cat /dev/hwrng > /dev/null")
        elif not busy and self._pid is not None:
            self.guest.agent("guest-exec", path="/bin/kill", arg=["-9", str(self._pid)])
            self._pid = None

    def reads(self) -> bool:
        """Whether it still does."""
        return self._pid is not None and not self.guest.agent("guest-exec-status", pid=self._pid)["exited"]
