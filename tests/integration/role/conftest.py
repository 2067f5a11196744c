# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hypervisors with guests that need no boot, and ansible-playbook to run against them."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import GuestSpec, HostSpec, Lab, LabSpec
from lab.packages import install
from lab.process import PATIENCE

REPOSITORY = Path(__file__).parents[3]
SPEC = LabSpec(
    (
        HostSpec("hv1", guests=(GuestSpec("one", running=False), GuestSpec("two", running=False))),
        HostSpec("hv2", guests=(GuestSpec("three", running=False), GuestSpec("four", firmware_only=True))),
    )
)


@dataclass
class Fleet:
    """The lab as an operator sees it: an inventory, playbooks, and what became of the guests."""

    lab: Lab
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def play(
        self, playbook: str | list[Any], *arguments: str, code: int = 0, inventory: dict[str, Any] | None = None
    ) -> str:
        """Run a playbook of the collection, or one given as data, to the exit code expected; what it wrote."""
        if not isinstance(playbook, str):
            path = self.directory / "playbook.yml"
            path.write_text(yaml.safe_dump(playbook))
            playbook = str(path)
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.lab.inventory)]
        if inventory:
            own = self.directory / "inventory.yml"
            own.write_text(yaml.safe_dump(inventory))
            command += ["-i", str(own)]
        done = subprocess.run(
            [*command, *arguments, playbook],
            cwd=self.directory,
            env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def rates(self, name: str, *, live: bool = False) -> list[str]:
        """The bytes of each RNG of a guest: of its configuration, or as it runs."""
        guest = self.lab.guest(name)
        xml = guest.host.virsh("dumpxml", *([] if live else ["--inactive"]), "--domain", guest.uuid)
        return [rate.get("bytes", "") for rate in ET.fromstring(xml).iterfind("devices/rng/rate")]

    def all_rates(self) -> dict[str, list[str]]:
        """Those of the configuration of every guest."""
        return {guest.name: self.rates(guest.name) for guest in self.lab.guests}


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    install(["sudo"], print)  # before the hosts boot: they see the machine's programs as they are then
    return boot_lab(SPEC)


@pytest.fixture
def fleet(lab: Lab, tmp_path: Path) -> Fleet:
    """All guests without an RNG, whatever the test before did to them."""
    for host in lab.hosts.values():
        host.define(*(lab.domain_xml(guest) for guest in lab.guests if guest.host is host))
    running = lab.guest("four")
    if "<rng" in running.host.virsh("dumpxml", "--domain", running.uuid):
        running.destroy()
        running.start()
    return Fleet(lab, tmp_path)
