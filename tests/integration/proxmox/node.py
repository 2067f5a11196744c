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

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
STAND_IN = ROOT / "tests" / "stand_ins" / "proxmox" / "pvesh"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
UUID = "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c%02d"


class Node:
    """A node's files, and Ansible runs on it."""

    def __init__(self, state: Path) -> None:
        self.state, self.configs = state, state / "etc/pve/qemu-server"
        for folder in (self.configs, state / "run/qemu-server", state / "bin"):
            folder.mkdir(parents=True)
        (state / "bin/pvesh").symlink_to(STAND_IN)

    def add(self, vmid: int, text: str, running: bool) -> None:
        first, *sections = text.split("\n\n", 1)
        lines = [*first.splitlines(), f"smbios1: uuid={UUID % (vmid % 100)}"]
        comments = [line for line in lines if line.startswith("#")]
        main = "\n".join([*comments, *sorted(line for line in lines if not line.startswith("#"))]) + "\n"
        (self.configs / f"{vmid}.conf").write_text(main + "".join(f"\n{section}" for section in sections))
        if running:
            (self.state / f"run/qemu-server/{vmid}.pid").write_text("1")

    def texts(self) -> dict[int, str]:
        return {int(path.stem): path.read_text() for path in self.configs.glob("*.conf")}

    def calls(self) -> list[list[str]]:
        log = self.state / "var/log/pvesh.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def pvesh(self, *arguments: str) -> None:
        environment = {**os.environ, "PVE_STAND_IN": str(self.state)}
        subprocess.run([str(STAND_IN), *arguments], env=environment, check=True, capture_output=True)

    def agent(self, vmid: int, files: dict[str, str], **settings: Any) -> None:
        """Let an agent answer in a guest."""
        place = self.state / f"guests/{vmid}"
        for name, content in files.items():
            (place / "files" / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (place / "files" / name.lstrip("/")).write_text(content)
        (place / "agent.json").write_text(json.dumps(settings))

    def converge(self, *arguments: str) -> dict[str, Any]:
        answer = self.state / "answer.json"
        done = self.play("converge.yml", f"--extra-vars=answer={answer}", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook on the node."""
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_HOME": str(self.state / "home"),
            "ANSIBLE_NOCOLOR": "1",
        }
        (self.state / "var/log/pvesh.log").unlink(missing_ok=True)
        command = [str(HERE / "inside/on-node.sh"), str(self.state), str(PLAYBOOK), "-i", "inventory.yml"]
        return subprocess.run(
            [*command, playbook, *arguments],
            cwd=HERE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
