# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of Proxmox VE's guests: agents over the stand-in for its API, and processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import proxmox as backend
from ansible_collections.fleet.rng.plugins.module_utils.backend import proxmox_views
from ansible_collections.fleet.rng.plugins.module_utils.codec.proxmox import parse_rng
from ansible_collections.fleet.rng.plugins.module_utils.transport import process
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox as transport
from ansible_collections.fleet.rng.plugins.modules import proxmox_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import Node, in_process

HW_RANDOM = "/sys/devices/virtual/misc/hw_random"
FILES = {
    f"{HW_RANDOM}/rng_current": "virtio_rng.0\n",
    f"{HW_RANDOM}/rng_available": "virtio_rng.0 tpm-rng-0\n",
    "/proc/sys/kernel/osrelease": "6.1.0-30-amd64\n",
    "/sys/module/virtio_rng/initstate": "live\n",
}
BOUNDED_RUN = transport.bounded_run
LINUX = {"id": "debian", "pretty-name": "Debian GNU/Linux 12 (b\xfccher)", "kernel-release": "6.1.0-30-amd64"}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node with one guest that runs."""
    found = Node(tmp_path / "node")
    monkeypatch.setenv("PATH", f"{found.root / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PVE_STAND_IN", str(found.root))
    monkeypatch.setattr(transport, "bounded_run", in_process())
    monkeypatch.setattr(backend.Backend.__init__, "__defaults__", (None, str(found.configs)))
    found.add(101, "agent: 1\nname: web1\nrng0: /dev/urandom\n", running=True)
    return found


def guest_view(run_module: Any, **options: Any) -> dict[str, Any]:
    result = run_module(proxmox_rng_info.main, guest_view=True, **options)
    view: dict[str, Any] = result["guests"][0]["guest_view"]
    return view


def test_files_of_a_guest(node: Node, run_module: Any) -> None:
    node.agent(101, FILES, osinfo=LINUX)
    view = guest_view(run_module, timeout=120)
    assert (view["status"], view["why"], view["driver"]) == ("seen", None, True)
    assert view["os"]["id"] == "debian"
    assert view["rng"]["current"] == "virtio_rng.0"
    assert view["rng"]["available"] == ["virtio_rng.0", "tpm-rng-0"]
    assert node.writes == []


def test_a_directory_is_there_and_empty(node: Node, run_module: Any) -> None:
    files = {path: content for path, content in FILES.items() if "initstate" not in path}
    node.agent(101, {**files, "/sys/bus/virtio/drivers/virtio_rng/uevent": ""}, osinfo=LINUX)
    assert guest_view(run_module, timeout=120)["driver"] is True


def test_the_probe_runs_in_a_guest(node: Node, run_module: Any) -> None:
    node.agent(101, osinfo=LINUX)
    view = guest_view(run_module, guest_exec=True, timeout=120)
    assert (view["status"], view["why"]) == ("seen", None)
    assert view["rng"]["kernel"]["release"] == os.uname().release, "the stand-in runs it on this machine"
    assert [call[:2] for call in node.writes] == [["create", "/nodes/localhost/qemu/101/agent/exec"]]


def test_guests_that_are_not_asked_or_cannot_answer(node: Node, run_module: Any) -> None:
    node.add(102, "agent: 0\nname: silent\n", running=True)
    node.add(103, "name: off\nagent: 1\n")
    views = {
        guest["name"]: (guest["guest_view"]["status"], guest["guest_view"]["why"])
        for guest in run_module(proxmox_rng_info.main, guest_view=True, timeout=120)["guests"]
    }
    assert views == {
        "web1": ("no agent", "QEMU guest agent is not running"),
        "silent": ("no agent", "No QEMU guest agent configured"),
        "off": ("not running", "it is shut off"),
    }
    (view,) = (
        guest["guest_view"]
        for guest in run_module(proxmox_rng_info.main, guest_view=True, guests=["silent"], timeout=120)["guests"]
        if guest["guest_view"]
    )
    assert view["status"] == "no agent"


def test_files_that_may_not_be_read(node: Node, run_module: Any) -> None:
    node.agent(101, FILES, osinfo=LINUX, disabled=["guest-file-open", "guest-exec"])
    assert guest_view(run_module, timeout=120, guest_exec=True)["status"] == "file reading disabled"


def test_an_agent_that_hangs(node: Node, run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "bounded_run", BOUNDED_RUN)
    node.agent(101, FILES, hang=600)
    view = guest_view(run_module, timeout=1)
    assert (view["status"], view["rng"]) == ("timed out", None)


def test_an_agent_of_windows(node: Node, run_module: Any) -> None:
    node.agent(101, osinfo={"id": "mswindows", "name": "Microsoft Windows"})
    assert guest_view(run_module, timeout=120)["status"] == "not Linux"


# Processes of this machine -------------------------------------------------------------------------------------------


@pytest.fixture
def process_of_101() -> Iterator[int]:
    """A process with the command line of guest 101, which has /dev/urandom open."""
    code = "import sys; file = open('/dev/urandom', 'rb'); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "-id", "101"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as found:
        assert found.stdout is not None
        found.stdout.readline()
        yield found.pid
        assert found.stdin is not None
        found.stdin.close()


def test_what_a_process_has_open(process_of_101: int) -> None:
    live = (parse_rng("/dev/urandom"), parse_rng("/dev/random"), parse_rng("/dev/urandom,period=0"))
    seen = proxmox_views.host_view(101, process_of_101, live, monitor=False)
    assert (seen["status"], seen["pid"], seen["why"]) == ("seen", process_of_101, None)
    assert seen["open"] == [
        {"source": "/dev/urandom", "open": True, "why": None},
        {"source": "/dev/random", "open": False, "why": "QEMU does not have device 1:8 open"},
        {"source": None, "open": None, "why": live[2].unknown},
    ]


@pytest.mark.parametrize("pid", [0, 1, os.getpid(), 2**22 + 1], ids=["none", "first", "own", "too_large"])
def test_a_process_that_is_another_one(pid: int) -> None:
    seen = proxmox_views.host_view(101, pid, (parse_rng("/dev/urandom"),), monitor=True)
    assert (seen["status"], seen["pid"]) == ("no process", None)
    assert seen["open"][0]["open"] is None
    assert seen["qemu_why"] == "QEMU's own monitor is not reached through the API of Proxmox VE"


def test_a_process_that_may_not_be_looked_at(process_of_101: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, dummy_paths: Any = ()) -> Any:
        raise process.NotAllowedError(f"only root may see what process {pid} has open")

    monkeypatch.setattr(process, "open_files", refuse)
    seen = proxmox_views.host_view(101, process_of_101, (parse_rng("/dev/urandom"),), monitor=False)
    assert (seen["status"], seen["open"][0]["open"]) == ("not allowed", None)


def test_the_view_of_the_node_in_a_run(node: Node, run_module: Any, process_of_101: int) -> None:
    node.add(101, "name: web1\nrng0: /dev/urandom\n", running=True, pid=process_of_101)
    (guest,) = run_module(proxmox_rng_info.main, host_view=True)["guests"]
    assert guest["host_view"]["status"] == "seen"
    assert guest["host_view"]["open"] == [{"source": "/dev/urandom", "open": True, "why": None}]
