# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all integration tests share: real hypervisors, and real Ansible to talk to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # where the lab is

from lab import Lab, LabSpec
from lab.packages import download
from lab.process import PATIENCE

CACHE = Path(__file__).parents[2] / ".cache"
LABS = pytest.StashKey[list[Lab]]()  # that are up


def pytest_addoption(parser: pytest.Parser) -> None:
    """While one writes tests, a lab that stays up saves its boot: any spec with the same hosts and guests will do."""
    parser.addoption("--lab-state", help="directory of a lab: used if it is up, else booted there; and left running")


def pytest_configure(config: pytest.Config) -> None:
    """A lab that stays up is meant to outlive its parent."""
    config.stash[LABS] = []
    if config.getoption("--lab-state"):
        config.addinivalue_line("filterwarnings", "ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture(scope="session")
def boot_lab(request: pytest.FixtureRequest) -> Callable[[LabSpec], Lab]:
    """A function from a spec to a lab that runs until the tests of its folder end."""

    def boot(spec: LabSpec) -> Lab:
        state = request.config.getoption("--lab-state")
        if state and (Path(state) / "lab.json").exists():
            return Lab.open(state)
        lab = Lab(spec, state)
        if not state:
            request.config.stash[LABS].append(lab)
        return lab.up()

    os.umask(0o022)  # guests and hosts read what the tests write
    return boot


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Labs end with the last test of a folder: their guests would cost all others memory and time."""
    try:
        yield
    finally:
        if nextitem is None or nextitem.path.parent != item.path.parent:
            labs = item.config.stash[LABS]
            while labs:
                labs.pop().down()


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """Prometheus' own checker: a function that runs it and returns what it printed.

    Unpacked, not installed: the package starts a server.
    """
    program = shutil.which("promtool")
    if program is None:
        unpacked = CACHE / "promtool" / "usr" / "bin" / "promtool"
        if not unpacked.exists():
            unpacked.parent.mkdir(parents=True, exist_ok=True)
            # Tests run side by side: it is there as a whole, or not.
            with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
                download(["prometheus"], Path(fresh) / "files")
                (Path(fresh) / "files" / "usr" / "bin" / "promtool").replace(unpacked)
        program = str(unpacked)

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
