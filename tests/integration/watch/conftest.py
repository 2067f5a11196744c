# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypervisors to be watched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import GuestSpec, HostSpec, HwRng, Lab, LabSpec
from lab.packages import install
from lab.process import say

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
