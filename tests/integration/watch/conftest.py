# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' own checker, and two hypervisors to be watched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import GuestSpec, HostSpec, HwRng, Lab, LabSpec
from lab.packages import download, install
from lab.process import PATIENCE, say

REPOSITORY = Path(__file__).parents[3]
CACHE = REPOSITORY / ".cache" / "promtool"
DEVICE = "<rng model='virtio'><rate bytes='{}' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
SPEC = LabSpec(
    (
        HostSpec(
            "hv1",
            hwrng=HwRng(current="none", available=("tpm-rng-0",)),
            guests=(
                GuestSpec("limited", running=False, rng=DEVICE.format(1024)),
                GuestSpec("without", running=False),
                GuestSpec("runs", firmware_only=True, rng=DEVICE.format(4096)),
                GuestSpec("waits", firmware_only=True),
            ),
        ),
        HostSpec("booted", guests=(GuestSpec("only", running=False, rng=DEVICE.format(1024)),)),  # with systemd
        HostSpec("machine1", kind="none"),
    )
)


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    install(["systemd"], say)
    return boot_lab(SPEC)


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """A function that runs it and returns what it printed. Unpacked, not installed: the package starts a server."""
    program = shutil.which("promtool")
    if program is None:
        unpacked = CACHE / "usr" / "bin" / "promtool"
        if not unpacked.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            download(["prometheus"], CACHE)
        program = str(unpacked)

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
