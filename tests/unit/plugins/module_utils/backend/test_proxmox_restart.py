# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts of guests whose shutdown or start was asked for, and the answer lost: none may stay off.

Restarts that go as they should are tested with the backend's own tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import proxmox as backend
from ansible_collections.fleet.rng.plugins.module_utils.module import restart
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox_api
from ansible_collections.fleet.rng.plugins.modules import proxmox_rng
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import Node, access_to, serving

RESTART = [{"guest": "web1", "restart": True}]
LOOKS = 8  # more than are made in the attempt that is lost
HANG_UP, UNKNOWN = {"hang up": True}, {"status": [596, "Connection timed out"]}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Path) -> Iterator[Node]:
    """One guest that runs, over HTTPS. Nobody sleeps, and what ends by itself ends by the number of looks."""
    found = Node(tmp_path / "node")
    monkeypatch.setenv("PVE_STAND_IN", str(found.root))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(restart.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(proxmox_api, "_POLL_SECONDS", 0)
    found.add(101, "name: web1\n", running=True)
    with serving(certificates) as port:
        monkeypatch.setattr(
            backend.Backend.__init__, "__kwdefaults__", {"access": access_to(port, certificates, seconds=40)}
        )
        yield found


def runs(node: Node) -> bool:
    return (node.root / "run/qemu-server/101.pid").exists()


def powers(node: Node) -> list[str]:
    return [call[1].rpartition("/")[2] for call in node.writes if "/status/" in call[1]]


@pytest.mark.parametrize("lost", [HANG_UP, UNKNOWN], ids=["hung up", "timed out"])
@pytest.mark.parametrize("looks", [1, LOOKS], ids=["at once", "later"])
def test_a_guest_whose_shutdown_was_lost_is_started(
    lost: dict[str, Any], looks: int, node: Node, run_module: Any
) -> None:
    node.site(faults={"lost": {"/status/shutdown": lost}, "slow": {"101": looks}})
    result = run_module(proxmox_rng.main, devices=RESTART, restart_timeout=300)
    assert (result["guests"][0]["error"], result["guests"][0]["live"]) == (None, "added")
    assert runs(node)
    again = ["shutdown"] if lost is HANG_UP and looks == LOOKS else []
    assert powers(node) == ["shutdown", *again, "start"]


def test_a_guest_that_holds_its_lock_for_ever_runs_on(
    node: Node, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when somebody else's work does: then the time is up."""
    (node.root / "run/qemu-server/101.going").write_text("1000000")
    monkeypatch.setattr(backend.proxmox_restart, "_LATER", -1.0)
    result = run_module(proxmox_rng.main, devices=RESTART, restart_timeout=1)
    error = result["guests"][0]["error"]
    assert error.startswith("it was asked to shut down and runs on after 1 seconds (can't lock file '/var/lock/")
    assert (runs(node), powers(node)) == (True, ["shutdown"])


@pytest.mark.parametrize("lost", [HANG_UP, UNKNOWN], ids=["hung up", "timed out"])
def test_a_start_that_was_lost_is_no_failure(lost: dict[str, Any], node: Node, run_module: Any) -> None:
    node.site(faults={"lost": {"/status/start": lost}})
    result = run_module(proxmox_rng.main, devices=RESTART)
    assert (result["guests"][0]["error"], result["guests"][0]["live"], runs(node)) == (None, "added", True)
