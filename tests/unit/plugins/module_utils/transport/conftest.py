# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's API over HTTPS, for the tests of its transport."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
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

Serve = Callable[..., str]


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


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server that says these things, each after one line from the client, or the first one unasked where it greets.

    Then it holds the connection, or ends.
    """
    over = threading.Event()
    started: list[tuple[socket.socket, threading.Thread]] = []

    def start(*parts: bytes, greets: bool = False, end: bool = False) -> str:
        path = str(tmp_path / "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)

        def talk() -> None:
            with suppress(OSError), listener.accept()[0] as client, client.makefile("rb") as lines:
                for number, part in enumerate(parts):
                    if number or not greets:
                        lines.readline()
                    client.sendall(part)
                if not end:
                    over.wait()

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        started.append((listener, thread))
        return path

    yield start
    over.set()
    for listener, thread in started:
        listener.shutdown(socket.SHUT_RDWR)  # wakes one that nobody came to
        thread.join(60)
        listener.close()
