# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMUs of these tests: three that boot a system, and others for a moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.qemu.machine import Machine
from lab.images import ensure_images
from lab.process import say
from lab.qemu import AGENT, root_ports

Q35 = tuple(root_ports(5))
Start = Callable[..., Machine]


@pytest.fixture(scope="session")
def images() -> Path:
    return ensure_images(False, say)


@pytest.fixture(scope="session", autouse=True)
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the callback writes what a module returned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNG_TEST_RESULTS", str(tmp_path_factory.mktemp("results") / "results.json"))
        yield


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a QEMU that runs until the module's tests end, or are done with it."""
    directory = tmp_path_factory.mktemp("qemu")
    running: list[Machine] = []

    def run(name: str, machine: str, *more: str, images: Path | None = None) -> Machine:
        # The modules see all QEMUs of this machine: also those of somebody who runs these tests at the same time.
        running.append(Machine(directory, images, f"{name}-{os.getpid()}", machine, *more))
        return running[-1].start()

    yield run
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def q35(start: Start, images: Path) -> Machine:
    return start("fleet-q35", "q35", *Q35, "-device", "virtio-serial-pci,bus=rp5", *AGENT, images=images)


@pytest.fixture(scope="module")
def pc(start: Start, images: Path) -> Machine:
    return start("fleet-pc", "pc", "-device", "virtio-serial-pci", *AGENT, images=images)
