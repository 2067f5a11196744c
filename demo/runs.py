# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the collection's playbooks on the demo's fleet, as an operator would."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Lab, LabError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BRIEF = {"ANSIBLE_DISPLAY_OK_HOSTS": "false", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}


@dataclass(frozen=True)
class Run:
    """One run of a playbook: its exit code and Ansible's recap, host name to its counts."""

    code: int
    recap: Mapping[str, Mapping[str, int]]

    @property
    def changed(self) -> list[str]:
        """The hosts that report a change."""
        return [host for host, count in self.recap.items() if count["changed"]]


class Playbooks:
    """The playbooks, on a fleet that is up. ``brief``: tasks that change nothing and say nothing are not shown."""

    def __init__(self, lab: Lab, inventory: Path = HERE / "inventory.yml", brief: bool = False) -> None:
        self._recap = lab.state / "recap.json"
        self._inventories = ["-i", str(inventory.relative_to(ROOT)), "-i", str(lab.inventory)]
        self._environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "recap_file",
            "RECAP_FILE": str(self._recap),
            **(BRIEF if brief else {}),
        }

    def command(self, name: str, *options: str) -> list[str]:
        """What an operator types, in the directory of the project."""
        return ["ansible-playbook", *self._inventories, f"playbooks/{name}.yml", *options]

    def run(self, name: str, *options: str) -> Run:
        """Run one, as it is on a terminal. Its exit code is for the caller: bad guests make it an error."""
        command = self.command(name, *options)
        print(f"$ {shlex.join(command)}")
        self._recap.unlink(missing_ok=True)
        begin = time.monotonic()
        done = subprocess.run(command, env=self._environment, cwd=ROOT, check=False)
        print(f"ansible-playbook took {time.monotonic() - begin:.0f} s and ended with exit code {done.returncode}.")
        if not self._recap.exists():
            raise LabError(f"ansible-playbook ended with {done.returncode}, before any host was done")
        recap: dict[str, dict[str, int]] = json.loads(self._recap.read_text())
        unreachable = [host for host, count in recap.items() if count["unreachable"]]
        if unreachable:
            raise LabError(f"unreachable: {', '.join(unreachable)}")
        return Run(done.returncode, recap)

    def run_well(self, name: str, *options: str) -> Run:
        """Run one that has to succeed."""
        done = self.run(name, *options)
        if done.code:
            raise LabError(f"{name}.yml ended with exit code {done.code}")
        return done

    def policies(self) -> dict[str, Mapping[str, Any]]:
        """What the inventory says about each host and guest, by Ansible's own precedence."""
        done = subprocess.run(
            ["ansible-inventory", *self._inventories, "--list"],
            env=self._environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"ansible-inventory: {done.stderr.strip()}")
        hostvars: dict[str, Mapping[str, Any]] = json.loads(done.stdout)["_meta"]["hostvars"]
        return hostvars
