# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Proxmox VE node that a stand-in plays: its files, and Ansible runs on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab.process import PATIENCE
from lab.proxmox import STAND_IN, Files

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


class Node(Files):
    """A node's files, and Ansible runs on it."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.create()

    def pvesh(self, *arguments: str) -> None:
        environment = {**os.environ, "PVE_STAND_IN": str(self.root)}
        subprocess.run([str(STAND_IN / "pvesh"), *arguments], env=environment, check=True, capture_output=True)

    def converge(self, *arguments: str) -> dict[str, Any]:
        answer = self.root / "answer.json"
        done = self.play("converge.yml", f"--extra-vars=answer={answer}", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook on the node."""
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_HOME": str(self.root / "home"),
            "ANSIBLE_NOCOLOR": "1",
        }
        (self.root / "var/log/pvesh.log").unlink(missing_ok=True)
        command = [str(HERE / "inside/on-node.sh"), str(self.root), str(PLAYBOOK), "-i", "inventory.yml"]
        return subprocess.run(
            [*command, playbook, *arguments],
            cwd=HERE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
