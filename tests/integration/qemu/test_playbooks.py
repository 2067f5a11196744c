# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on a host of plain QEMU, over SSH: from nothing to proof, and back to the very bytes of before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from integration.qemu.machine import ROOT
from lab import GuestSpec, HostSpec, Lab, LabSpec, QemuGuest
from lab.process import PATIENCE

THEIRS = '# theirs\n[memory]\n  size = "128M"'
SPEC = LabSpec((HostSpec("qemu1", "qemu", guests=(GuestSpec("web1", readconfig=THEIRS), GuestSpec("db1", "pc"))),))


@pytest.fixture(scope="module")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


def play(lab: Lab, playbook: str, directory: Path, *arguments: str) -> str:
    """Run a playbook that has to succeed; its output. That it is plain QEMU is found out."""
    policies = directory / "policies.yml"
    settings = {"virtio_rng_view_timeout": 120, "virtio_rng_source": "/dev/urandom"}
    groups = {"hypervisors": {"vars": settings}, "guests": {"hosts": {"web1": {"virtio_rng_max_bytes": 2048}}}}
    policies.write_text(yaml.safe_dump(groups))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, "-i", lab.inventory, "-i", policies, f"fleet.rng.{playbook}", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_nothing_to_proof_and_back(lab: Lab, tmp_path: Path) -> None:
    web, db = lab.guest("web1"), lab.guest("db1")
    assert isinstance(web, QemuGuest)
    assert isinstance(db, QemuGuest)
    play(lab, "enable_rng", tmp_path, "--check")
    assert (web.rngs, web.config.read_text()) == ([], THEIRS)
    play(lab, "enable_rng", tmp_path)
    assert web.rngs == db.rngs == ["ua-fleet-rng"]
    written = web.config.read_text()
    assert 'max-bytes = "2048"' in written
    assert "changed=0" in play(lab, "enable_rng", tmp_path)
    assert "2 of 2 guests verified" in play(lab, "verify_rng", tmp_path)
    assert web.rng_current().startswith("virtio_rng.")
    web.destroy()
    web.start()
    web.wait()
    assert (web.rngs, web.config.read_text()) == (["ua-fleet-rng"], written)
    assert "changed=0" in play(lab, "enable_rng", tmp_path)
    play(lab, "disable_rng", tmp_path)
    for guest, theirs in ((web, THEIRS), (db, "")):
        assert (guest.rngs, guest.backends, guest.config.read_text()) == ([], [], theirs)
