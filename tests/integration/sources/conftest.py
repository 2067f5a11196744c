# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with sources of all kinds, and Ansible to test them with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import GuestSpec, Host, HostSpec, HwRng, Lab, LabSpec
from lab.packages import download
from lab.process import PATIENCE

REPOSITORY = Path(__file__).parents[3]
INSIDE = Path(__file__).parent / "inside"
PYTHON = "/usr/bin/python3"
RATE = "<rng model='virtio'><rate bytes='{}' period='{}'/><backend model='random'>/dev/urandom</backend></rng>"
SPEC = LabSpec(
    (
        HostSpec(
            "hv1",
            guests=(
                GuestSpec("slow", ssh=True, memory=256, rng=RATE.format(1024, 1000)),
                # Its first byte is gone before anybody can log in, and no other comes.
                GuestSpec("dry", ssh=True, memory=256, rng=RATE.format(1, 4294967295)),
            ),
        ),
        HostSpec("machine", kind="none", hwrng=HwRng()),
    )
)


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


@pytest.fixture(scope="session")
def machine(lab: Lab) -> Host:
    """A host with rngtest on its path. Installing the package would start a daemon that feeds the kernel."""
    host = lab.host("machine")
    download(["rng-tools5"], host.directory / "rng-tools")
    host.check("cp", "/run/lab/host/rng-tools/usr/bin/rngtest", "/usr/local/bin/rngtest")
    return host


@contextmanager
def running(host: Host, program: str, *arguments: str) -> Iterator[str]:
    """A program of ``inside`` on the host; what it said when it was ready. It ends with the block."""
    source = (INSIDE / program).read_text()
    command = host.command(PYTHON, "-c", source, *arguments)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, f"{program} did not start"
        try:
            yield said
        finally:
            pid = json.loads(said)
            host.check("kill", "-KILL", str(pid["pid"] if isinstance(pid, dict) else pid))


def examine(lab: Lab, name: str, directory: Path, **options: Any) -> dict[str, Any]:
    """What the module returns on a host of the inventory, by ansible-playbook over SSH."""
    saved = directory / "result.json"
    play = {
        "hosts": name,
        "gather_facts": False,
        "tasks": [
            {"fleet.rng.rng_source_info": options, "register": "tested"},
            {
                "ansible.builtin.copy": {"content": "{{ tested | to_json }}", "dest": str(saved), "mode": "0600"},
                "delegate_to": "localhost",
                "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            },
        ],
    }
    (directory / "playbook.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", lab.inventory, directory / "playbook.yml"],
        cwd=directory,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(saved.read_text())
    return result
