# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on a real cluster, with an instance that boots a system: changed, restarted, proven, undone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from integration.ganeti.conftest import Site
from lab.domain import KERNEL_ARGUMENTS
from lab.process import PATIENCE

ROOT = Path(__file__).parents[3]
IMAGES = "/run/lab/images"
LINUX = (
    f"kernel_path={IMAGES}/vmlinuz",
    f"initrd_path={IMAGES}/agent.initrd",
    f"kernel_args={KERNEL_ARGUMENTS}",
    "serial_console=False",
    "use_guest_agent=True",
)


def play(site: Site, name: str, *options: str) -> str:
    """Run a playbook against the master; answers what it printed."""
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [
        program,
        "-i",
        site.hypervisor.lab.inventory,
        f"fleet.rng.{name}",
        "-e",
        "rng_hypervisors=gnt1",
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_nothing_to_proof_and_back(site: Site, instance: Callable[..., str]) -> None:
    name = instance("linux", *LINUX)
    before = site.cluster.own("linux")
    site.cluster.gnt("instance", "start", name)

    assert "--type=hard" in play(site, "enable_rng")
    assert site.cluster.own("linux").keys() - before.keys() == {"kvm_extra"}

    restart = ("-e", "virtio_rng_restart=when_needed", "-e", "virtio_rng_restart_force=true")
    play(site, "enable_rng", *restart, "-e", "virtio_rng_restart_timeout=1")
    assert site.observe()["linux"]["live"]

    said = play(site, "verify_rng", "-e", "virtio_rng_view_timeout=300")
    assert "1 of 1 guests verified" in said, said
    assert "changed=0" in play(site, "enable_rng")

    play(site, "disable_rng")
    assert site.cluster.own("linux") == before
