# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and its playbooks on a node of Proxmox VE that a stand-in plays: changed, restarted, proven, undone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from node import Node

HW_RANDOM = "/sys/devices/virtual/misc/hw_random"
INSIDE = {
    f"{HW_RANDOM}/rng_current": "virtio_rng.0\n",
    f"{HW_RANDOM}/rng_available": "virtio_rng.0\n",
    "/proc/sys/kernel/osrelease": "6.1.0-30-amd64\n",
    "/sys/module/virtio_rng/initstate": "live\n",
}
OURS = "source=/dev/urandom,period=1000,max_bytes=1024"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    found = Node(tmp_path / "node")
    found.add(101, "agent: 1\nmemory: 512\nname: web1\n", running=True)
    found.add(102, "name: golden\ntemplate: 1\n", running=False)
    found.add(103, "name: theirs\nrng0: /dev/urandom\n", running=False)
    found.agent(101, INSIDE, osinfo={"id": "debian", "name": "Debian GNU/Linux", "kernel-release": "6.1.0-30-amd64"})
    return found


def test_from_nothing_to_proof_and_back(node: Node) -> None:
    before = node.texts()
    done = node.play("fleet.rng.enable_rng")
    assert done.returncode == 0, done.stdout + done.stderr
    assert node.texts() == {**before, 101: f"{before[101]}\n[PENDING]\nrng0: {OURS}\n"}

    done = node.play("fleet.rng.enable_rng", "-e", "virtio_rng_restart=when_needed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"rng0: {OURS}\n" in node.texts()[101]
    assert "PENDING" not in node.texts()[101]

    done = node.play("fleet.rng.enable_rng")
    assert "changed=0" in done.stdout
    assert [call for call in node.calls() if call[0] != "get"] == []

    done = node.play("fleet.rng.verify_rng", "-e", "virtio_rng_host_view=false", "-e", "virtio_rng_view_timeout=120")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 guests verified" in done.stdout, done.stdout

    done = node.play("fleet.rng.disable_rng", "-e", "virtio_rng_restart=when_needed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert node.texts() == before
