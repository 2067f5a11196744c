# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's API over HTTPS, for the tests of its transport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox_api
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox_api import Api
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import (
    ApiMaker,
    Node,
    access_to,
    serving,
)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    found = Node(tmp_path / "node")
    monkeypatch.setenv("PVE_STAND_IN", str(found.root))
    for name in ("no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    found.add(101, "name: web1\n", running=True)
    return found


@pytest.fixture
def api(node: Node, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiMaker]:
    """Make an API of the server, with other options than the right ones."""
    monkeypatch.setattr(proxmox_api, "_POLL_SECONDS", 0)
    assert node.configs.is_dir(), "its files have to be there before the server"
    with serving(certificates) as port:
        yield lambda **options: Api(access_to(port, certificates, **options))
