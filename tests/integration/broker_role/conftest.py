# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor that systemd runs on, with a hardware RNG of its own, and without guests: clients stand for these."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from integration.watch.systemd import Systemd, booted
from lab import HostSpec, HwRng, Lab, LabSpec
from lab.packages import install
from lab.process import say

SPEC = LabSpec((HostSpec("booted", kind="none", hwrng=HwRng(current="tpm-rng-0", available=("tpm-rng-0",))),))


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    install(["systemd"], say)
    return boot_lab(SPEC)


@pytest.fixture(scope="module")
def systemd(lab: Lab) -> Iterator[Systemd]:
    with booted(lab.host("booted")) as systemd:
        yield systemd
