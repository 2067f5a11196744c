# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Proxmox VE node that a stand-in plays: its files."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox_api import Access, Api

STAND_IN = Path(__file__).parents[3] / "stand_ins" / "proxmox" / "pvesh"

MODULES = ("pve_config", "pve_agent", "pve_api", "pvesh", "pve_https")  # in the order in which they need each other
USER, TOKEN, SECRET = "ansible@pve", "fleet", "5b0e1c1a-0f6e-4b6e-9d53-7a1c2f3d4e5f"

ApiMaker = Callable[..., Api]


def access_to(port: int, certificates: Path, **options: Any) -> Access:
    """The way to the stand-in's API, with other options than the right ones."""
    ca = str(certificates / "pve-root-ca.pem")
    usual = {"host": "127.0.0.1", "node": "pve1", "user": USER, "token_id": TOKEN, "secret": SECRET, "ca_path": ca}
    return Access(**{**usual, "port": port, **options})


def load(wanted: str) -> Any:
    """A module of the stand-in, fresh: it finds its files by the environment of now."""
    sys.path.insert(0, str(STAND_IN.parent))
    try:
        for name in MODULES:
            sys.modules.pop(name, None)
        return {name: importlib.import_module(name) for name in MODULES}[wanted]
    finally:
        sys.path.remove(str(STAND_IN.parent))


@contextlib.contextmanager
def serving(certificates: Path) -> Iterator[int]:
    """The stand-in's API over HTTPS, in this process; the port that it listens on."""
    server = load("pve_https").Server(certificates)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def in_process() -> Callable[[list[str], float, int], tuple[int, bytes, str]]:
    """The stand-in without a process of its own for every call, in the place of ``bounded_run``.

    One call at a time, since there is one standard output.
    """
    program = load("pvesh")
    lock = threading.Lock()

    def run(arguments: list[str], dummy_seconds: float, dummy_limit: int) -> tuple[int, bytes, str]:
        out, err = io.StringIO(), io.StringIO()
        with lock, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code: int = program.main(arguments[1:])
        return code, out.getvalue().encode(), err.getvalue()

    return run


class Node:
    """The stand-in's files. ``files`` is whether the collection may read the configurations as files too."""

    def __init__(self, root: Path) -> None:
        self.root, self.configs, self.files = root, root / "etc/pve/qemu-server", True
        self.configs.mkdir(parents=True)
        (root / "bin").mkdir()
        (root / "bin/pvesh").symlink_to(STAND_IN)

    def add(self, vmid: int, text: str, running: bool = False, pid: int = 4711) -> None:
        (self.configs / f"{vmid}.conf").write_text(text)
        if running:
            (self.root / "run/qemu-server").mkdir(parents=True, exist_ok=True)
            (self.root / f"run/qemu-server/{vmid}.pid").write_text(str(pid))

    def agent(self, vmid: int, files: dict[str, str] | None = None, **settings: Any) -> None:
        """Let an agent answer in a guest."""
        place = self.root / f"guests/{vmid}"
        for name, content in (files or {}).items():
            (place / "files" / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (place / "files" / name.lstrip("/")).write_text(content)
        place.mkdir(parents=True, exist_ok=True)
        (place / "agent.json").write_text(json.dumps(settings))

    def text(self, vmid: int) -> str:
        return (self.configs / f"{vmid}.conf").read_text()

    def site(self, **settings: Any) -> None:
        place = self.root / "etc/pve/site.json"
        new = place.with_suffix(".new")  # calls may be under way, and see the old one or the new one
        new.write_text(json.dumps(settings))
        new.replace(place)

    def calls(self) -> list[list[str]]:
        log = self.root / "var/log/pvesh.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def writes(self) -> list[list[str]]:
        return [call for call in self.calls() if call[0] != "get"]
