# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of plain QEMU guests, with an agent and a QEMU that are threads."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import qemu_views
from ansible_collections.fleet.rng.plugins.module_utils.backend.guest_view import GuestOptions
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_guests import Entry
from ansible_collections.fleet.rng.plugins.module_utils.codec.qemu_words import Words
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.transport.agent import AgentError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_agent import FakeAgent
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_qemu import FakeQemu

GUEST = ObservedGuest("web1", running=True, live=())


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[FakeQemu]:
    qemu = FakeQemu(tmp_path / "qmp")
    qemu.chardevs["qga0"] = {"open": True}
    yield qemu
    qemu.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A guest's agent on a socket; its path."""
    listener = socket.socket(socket.AF_UNIX)

    def serve(fake: FakeAgent) -> None:
        client = listener.accept()[0]
        with client, client.makefile("rwb") as stream:
            for line in stream:
                request = json.loads(line.lstrip(b"\xff"))
                synchronizes = request["execute"] == "guest-sync-delimited"
                try:
                    answer = json.dumps({"return": request["arguments"]["id"]}) if synchronizes else fake(line.decode())
                except AgentError as error:
                    answer = json.dumps({"error": {"class": "GenericError", "desc": str(error)}})
                stream.write((b"\xff" if synchronizes else b"") + answer.encode() + b"\n")
                stream.flush()

    def start(fake: FakeAgent | None = None) -> str:
        path = str(tmp_path / "qga")
        listener.bind(path)
        listener.listen(1)
        if fake is not None:
            threading.Thread(target=serve, args=(fake,), daemon=True).start()
        return path

    yield start
    listener.close()


def entry(qemu: FakeQemu, path: str) -> Entry:
    return Entry(os.getpid(), Words(agent=path, agent_chardev="qga0"), (qemu.path,), "web1")


def test_what_the_guest_says(qemu: FakeQemu, agent: Any) -> None:
    seen = qemu_views.guest_view(entry(qemu, agent(FakeAgent())), GUEST, GuestOptions())
    assert (seen["status"], seen["driver"], seen["rng"]["current"]) == ("seen", True, "virtio_rng.0")


def test_an_agent_that_nobody_runs(qemu: FakeQemu, agent: Any) -> None:
    qemu.chardevs["qga0"]["open"] = False
    seen = qemu_views.guest_view(entry(qemu, agent()), GUEST, GuestOptions())
    assert (seen["status"], seen["why"].partition(":")[0]) == (
        "no agent", "nobody in the guest has opened the agent's port",
    )  # fmt: skip


def test_an_agent_that_is_silent(qemu: FakeQemu, agent: Any) -> None:
    seen = qemu_views.guest_view(entry(qemu, agent()), GUEST, GuestOptions(seconds=0.1))
    assert seen["status"] == "timed out"
    assert "another program is connected" in seen["why"]


def test_a_monitor_that_does_not_tell(qemu: FakeQemu, agent: Any) -> None:
    qemu.chardevs.clear()
    path = agent(FakeAgent())
    assert qemu_views.guest_view(entry(qemu, path), GUEST, GuestOptions())["status"] == "seen"


@pytest.mark.parametrize(
    ("one", "status", "why"),
    [
        (Entry(), "not running", "does not run"),
        (Entry(sockets=("/x",)), "no agent", "become may be needed"),
        (Entry(pid=1), "no agent", "no socket for an agent"),
        (Entry(pid=1, words=Words(agent="/none")), "no agent", "cannot be opened"),
    ],
)
def test_without_a_way_to_it(one: Entry, status: str, why: str) -> None:
    seen = qemu_views.guest_view(one, GUEST, GuestOptions())
    assert seen["status"] == status
    assert why in seen["why"]


def test_what_the_host_says(qemu: FakeQemu) -> None:
    qemu.add_rng()
    seen = qemu_views.host_view(entry(qemu, ""), GUEST, monitor=True)
    assert (seen["status"], seen["pid"], seen["qemu_why"]) == ("seen", os.getpid(), None)
    assert [rng["id"] for rng in seen["qemu"]] == ["rng0"]
    assert qemu.writes == []
    assert qemu_views.host_view(entry(qemu, ""), GUEST, monitor=False)["qemu"] is None


def test_a_monitor_that_has_gone(qemu: FakeQemu) -> None:
    qemu.close()
    seen = qemu_views.host_view(entry(qemu, ""), GUEST, monitor=True)
    assert seen["status"] == "seen"
    assert "nobody answers there" in seen["qemu_why"]
    assert qemu_views.host_view(Entry(sockets=("/x",)), GUEST, monitor=False)["status"] == "no process"
