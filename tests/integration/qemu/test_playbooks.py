# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on a host with plain QEMU guests: from nothing to proof, and back to the very bytes of before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from integration.qemu.conftest import AGENT, Q35, Start
from integration.qemu.machine import ROOT, Machine
from lab.process import PATIENCE

THEIRS = '# theirs\n[memory]\n  size = "128M"'


@pytest.fixture(scope="module")
def guest(start: Start, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A guest that boots with a configuration file."""
    file = tmp_path_factory.mktemp("config") / "guest.cfg"
    file.write_text(THEIRS)
    port = ("-device", "virtio-serial-pci,bus=rp5", *AGENT)
    return start("fleet-play", "q35", *Q35, *port, "-readconfig", str(file), images=images)


def config(guest: Machine) -> Path:
    return Path(guest.command[-1])


def play(guest: Machine, playbook: str, directory: Path, *arguments: str) -> str:
    """Run a playbook that has to succeed, on this guest and no other of this machine; its output."""
    hypervisor = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "virtio_rng_hypervisor": "qemu",
        "virtio_rng_become": False,
        "virtio_rng_qemu_processes": False,
        "virtio_rng_qemu_sockets": [str(guest.qmp)],
        "virtio_rng_view_timeout": 120,
        "virtio_rng_wait": 60,
        "virtio_rng_source": "/dev/urandom",
    }
    inventory = directory / "inventory.yml"
    groups = {
        "hypervisors": {"hosts": {"hv1": hypervisor}},
        "guests": {"hosts": {guest.name: {"virtio_rng_max_bytes": 2048}}},
    }
    inventory.write_text(yaml.safe_dump(groups))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(inventory),
            f"fleet.rng.{playbook}",
            *arguments,
        ],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_nothing_to_proof_and_back(guest: Machine, tmp_path: Path) -> None:
    play(guest, "enable_rng", tmp_path, "--check")
    assert (guest.rngs, config(guest).read_text()) == ([], THEIRS)
    play(guest, "enable_rng", tmp_path)
    assert guest.rngs == ["ua-fleet-rng"]
    written = config(guest).read_text()
    assert 'max-bytes = "2048"' in written
    assert "changed=0" in play(guest, "enable_rng", tmp_path)
    assert "1 of 1 guests verified" in play(guest, "verify_rng", tmp_path)
    guest.stop()
    guest.start()
    assert (guest.rngs, config(guest).read_text()) == (["ua-fleet-rng"], written)
    assert "changed=0" in play(guest, "enable_rng", tmp_path)
    play(guest, "disable_rng", tmp_path)
    assert (guest.rngs, guest.backends, config(guest).read_text()) == ([], [], THEIRS)
