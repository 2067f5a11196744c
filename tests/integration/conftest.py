# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all integration tests share: real hypervisors, and real Ansible to talk to them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # where the lab is

from lab import Lab, LabSpec


def pytest_addoption(parser: pytest.Parser) -> None:
    """While one writes tests, a lab that stays up saves its boot: any spec with the same hosts and guests will do."""
    parser.addoption("--lab-state", help="directory of a lab: used if it is up, else booted there; and left running")


def pytest_configure(config: pytest.Config) -> None:
    """A lab that stays up is meant to outlive its parent."""
    if config.getoption("--lab-state"):
        config.addinivalue_line("filterwarnings", "ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture(scope="session")
def boot_lab(request: pytest.FixtureRequest) -> Iterator[object]:
    """A function from a spec to a lab that runs until the tests end."""
    labs = []

    def boot(spec: LabSpec) -> Lab:
        state = request.config.getoption("--lab-state")
        if state and (Path(state) / "lab.json").exists():
            return Lab.open(state)
        lab = Lab(spec, state)
        if not state:
            labs.append(lab)
        return lab.up()

    os.umask(0o022)  # guests and hosts read what the tests write
    yield boot
    for lab in labs:
        lab.down()
