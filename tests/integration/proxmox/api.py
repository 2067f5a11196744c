# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Proxmox VE node whose API a stand-in serves over HTTPS, and Ansible runs that have no other way to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.process import PATIENCE
from lab.proxmox import STAND_IN, Files

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
USER, TOKEN, SECRET = "ansible@pve", "fleet", "5b0e1c1a-0f6e-4b6e-9d53-7a1c2f3d4e5f"
# Whoever uses anything of this fails: the node is not to be reached, and nobody becomes root.
NO_WAY = {
    "ansible_connection": "ssh",
    "ansible_host": "pve1.invalid",
    "ansible_python_interpreter": "/nowhere/python3",
    "ansible_shell_executable": "/nowhere/sh",
    "ansible_remote_tmp": "/nowhere/tmp",
    "ansible_become": True,
    "ansible_become_exe": "/nowhere/sudo",
}


class Node(Files):
    """A node's files, its API, and Ansible runs elsewhere."""

    def __init__(self, root: Path, name: str = "pve1") -> None:
        super().__init__(root / name)
        self.create(name)
        self.name, self.home, self.certificates, self.port = name, root / "home", root / "certificates", 0
        self.more: dict[str, Any] = {}  # variables of its own

    @contextmanager
    def serving(self) -> Iterator[Node]:
        """With certificates of its own."""
        if not self.certificates.exists():
            make = [
                sys.executable,
                "-c",
                "import sys, certificates, pathlib; certificates.make(pathlib.Path(sys.argv[1]))",
            ]
            subprocess.run([*make, str(self.certificates)], cwd=STAND_IN, check=True)
        folder = self.root / "ssl"
        folder.mkdir()
        for file in ("pve-ssl.pem", "pve-ssl.key"):
            (folder / file).symlink_to(self.certificates / file)
        command = [sys.executable, str(STAND_IN / "pve_https.py"), str(folder)]
        server = subprocess.Popen(command, env={**os.environ, "PVE_STAND_IN": str(self.root)})
        try:
            until = time.monotonic() + PATIENCE
            while not (folder / "port").exists():
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < until, "the server does not begin"
                time.sleep(0.01)
            self.port = int((folder / "port").read_text())
            yield self
        finally:
            server.kill()
            server.wait()

    def site(self, **settings: Any) -> None:
        (self.root / "etc/pve/site.json").write_text(json.dumps({"node": self.name, **settings}))

    def variables(self) -> dict[str, Any]:
        given = {
            "api_host": "127.0.0.1",
            "api_port": self.port,
            "api_user": USER,
            "api_token_id": TOKEN,
            "api_token_secret": SECRET,
            "ca_path": str(self.certificates / "pve-root-ca.pem"),
        }
        return {**NO_WAY, **{f"virtio_rng_proxmox_{name}": value for name, value in given.items()}, **self.more}

    def writes(self) -> list[str]:
        """The calls that were no questions."""
        return [call[1] for call in self.calls() if call[0] != "get"]


def play(
    nodes: list[Node], playbook: str, *arguments: str, credential: dict[str, str] | None = None, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run a playbook for nodes, with more variables for all of them, and a credential in the environment.

    The names of the hypervisors in the inventory have a domain; what is before it is the node.
    """
    home = nodes[0].home
    home.mkdir(exist_ok=True)
    for node in nodes:
        (node.root / "var/log/pvesh.log").unlink(missing_ok=True)
    hosts = {f"{node.name}.example.com": {**node.variables(), **variables} for node in nodes}
    (home / "inventory.json").write_text(json.dumps({"hypervisors": {"hosts": hosts}, "guests": {"hosts": {}}}))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PROXMOX_")},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_NOCOLOR": "1",
        "no_proxy": "127.0.0.1",
        **(credential or {}),
    }
    return subprocess.run(
        [str(PLAYBOOK), "-i", str(home / "inventory.json"), playbook, *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
