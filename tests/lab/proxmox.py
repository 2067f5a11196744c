# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node of Proxmox VE, which cannot be installed: its files, and the ``pvesh`` of tests/stand_ins that plays it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).resolve().parents[1] / "stand_ins" / "proxmox"
FIRST = 100  # the lowest number that Proxmox VE gives to a guest
UUID = "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c%02d"
PROGRAM = """\
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
PVE_STAND_IN=$root exec "$root/stand-in/pvesh" "$@"
"""


class Files:
    """A node's files, below a directory that is the stand-in's root."""

    def __init__(self, root: Path) -> None:
        self.root, self.configs = root, root / "etc/pve/qemu-server"

    def create(self, node: str = "pve1", own_program: bool = False) -> None:
        """Make them; with a program of their own, ``bin/pvesh``, for hosts that do not see this tree."""
        for folder in (self.configs, self.root / "run/qemu-server", self.root / "bin"):
            folder.mkdir(parents=True)
        (self.root / "etc/pve/site.json").write_text(json.dumps({"node": node}))
        if own_program:
            shutil.copytree(STAND_IN, self.root / "stand-in", ignore=shutil.ignore_patterns("__pycache__"))
            (self.root / "bin/pvesh").write_text(PROGRAM)
            (self.root / "bin/pvesh").chmod(0o755)
        else:
            (self.root / "bin/pvesh").symlink_to(STAND_IN / "pvesh")

    def add(self, vmid: int, text: str, running: bool) -> None:
        """A guest, its file as Proxmox VE would have written it."""
        first, *sections = text.split("\n\n", 1)
        lines = [*first.splitlines(), f"smbios1: uuid={UUID % (vmid % 100)}"]
        comments = [line for line in lines if line.startswith("#")]
        main = "\n".join([*comments, *sorted(line for line in lines if not line.startswith("#"))]) + "\n"
        (self.configs / f"{vmid}.conf").write_text(main + "".join(f"\n{section}" for section in sections))
        if running:
            (self.root / f"run/qemu-server/{vmid}.pid").write_text("1")

    def texts(self) -> dict[int, str]:
        return {int(path.stem): path.read_text() for path in self.configs.glob("*.conf")}

    def calls(self) -> list[list[str]]:
        """What the stand-in was asked."""
        log = self.root / "var/log/pvesh.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def agent(self, vmid: int, files: dict[str, str], **settings: Any) -> None:
        """Let an agent answer in a guest."""
        place = self.root / f"guests/{vmid}"
        for name, content in files.items():
            (place / "files" / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (place / "files" / name.lstrip("/")).write_text(content)
        (place / "agent.json").write_text(json.dumps(settings))
