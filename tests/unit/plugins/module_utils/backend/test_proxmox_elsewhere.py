# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Proxmox VE node that is asked from elsewhere: what is not known of it, and that nothing of here stands in for it.

That guests are observed and changed as on the node itself is tested with the backend's own tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import proxmox as backend
from ansible_collections.fleet.rng.plugins.module_utils.module import info
from ansible_collections.fleet.rng.plugins.module_utils.transport import process
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox_api import ELSEWHERE, NO_RIGHTS
from ansible_collections.fleet.rng.plugins.modules import proxmox_rng, proxmox_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import (
    SECRET,
    TOKEN,
    USER,
    Node,
    serving,
)

PATHS = ["/dev/urandom", "/dev/random", "/dev/hwrng"]
HW_RANDOM = "/sys/devices/virtual/misc/hw_random"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Whoever looks at this machine fails."""
    found = Node(tmp_path / "node")
    monkeypatch.setenv("PVE_STAND_IN", str(found.root))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def here(*dummy: Any, **dummy_options: Any) -> None:
        raise AssertionError("this machine is not the node")

    for place, name in (
        (backend, "check_source"),
        (backend, "read_config"),
        (info, "collect"),
        (process, "open_files"),
    ):
        monkeypatch.setattr(place, name, here)
    return found


@pytest.fixture
def options(node: Node, certificates: Path) -> Iterator[dict[str, Any]]:
    assert node.configs.is_dir(), "its files have to be there before the server"
    with serving(certificates) as port:
        yield {
            "api_host": "127.0.0.1",
            "api_port": port,
            "api_user": USER,
            "api_token_id": TOKEN,
            "api_token_secret": SECRET,
            "ca_path": str(certificates / "pve-root-ca.pem"),
            "node": "pve1",
        }


def test_its_kernel_is_not_known(node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.add(101, "name: web1\n")
    host = run_module(proxmox_rng_info.main, **options)["host"]
    assert host["hypervisor"]["kind"] == "proxmox"
    assert host["unreadable"] == [{"path": "/", "reason": ELSEWHERE}]
    assert (host["role"], host["current"], host["available"], host["findings"]) == ("host", None, None, [])
    assert host["hwrng"] == {"present": None, "readable": None, "why": ELSEWHERE}


@pytest.mark.parametrize(
    ("text", "running", "known"),
    [
        ("", True, False),
        ("rng0: /dev/hwrng\n", False, False),
        ("\n[PENDING]\nrng0: /dev/hwrng\n", True, False),
        ("rng0: /dev/hwrng\n", True, True),
    ],
    ids=["none", "off", "pending", "runs with it"],
)
def test_only_a_guest_that_runs_shows_that_there_is_a_hardware_rng(
    text: str, running: bool, known: bool, node: Node, options: dict[str, Any], run_module: Any
) -> None:
    node.add(101, f"name: web1\n{text}", running=running)
    node.add(102, "name: web2\n")
    sources = run_module(proxmox_rng_info.main, sources=[*PATHS, "/dev/null"], **options)["host"]["sources"]
    safe = dict.fromkeys(PATHS if known else PATHS[:2])
    offer = "source /dev/null: Proxmox VE offers only /dev/urandom, /dev/random, /dev/hwrng"
    assert sources == {**safe, "/dev/null": offer}
    result = run_module(proxmox_rng.main, devices=[{"guest": "web2", "source": "/dev/hwrng"}], **options)
    error = result["guests"][0]["error"]
    if known:
        assert error is None
        assert node.text(102).endswith("rng0: source=/dev/hwrng,period=1000,max_bytes=1024\n")
    else:
        assert error.startswith("source /dev/hwrng: the API does not tell whether the node has a hardware RNG")
        assert node.writes == []


def test_its_processes_are_out_of_sight(node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.add(101, "name: web1\nrng0: /dev/urandom\n", running=True, pid=os.getpid())
    views = {"host_view": True, "monitor": True}
    (guest,) = run_module(proxmox_rng_info.main, **views, **options)["guests"]
    assert guest["host_view"] == {
        "status": "out of sight",
        "why": ELSEWHERE,
        "pid": None,
        "open": [{"source": "/dev/urandom", "open": None, "why": ELSEWHERE}],
        "qemu": None,
        "qemu_why": ELSEWHERE,
    }


def test_its_guests_are_asked_through_their_agents(node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.add(101, "agent: 1\nname: web1\nrng0: /dev/urandom\n", running=True)
    files = {
        f"{HW_RANDOM}/rng_current": "virtio_rng.0\n",
        f"{HW_RANDOM}/rng_available": "virtio_rng.0 b\xfccher\n",
        "/proc/sys/kernel/osrelease": "6.1.0-30-amd64\n",
        "/sys/module/virtio_rng/initstate": "live\n",
    }
    node.agent(101, files, osinfo={"id": "debian", "name": "Debian GNU/Linux", "kernel-release": "6.1.0-30-amd64"})
    (guest,) = run_module(proxmox_rng_info.main, guest_view=True, timeout=120, **options)["guests"]
    view = guest["guest_view"]
    assert (view["status"], view["why"], view["driver"]) == ("seen", None, True)
    assert view["rng"]["available"] == ["virtio_rng.0", "b\xfccher"]
    (guest,) = run_module(proxmox_rng_info.main, guest_view=True, guest_exec=True, timeout=120, **options)["guests"]
    assert (guest["guest_view"]["status"], guest["guest_view"]["why"]) == ("seen", None)
    node.site(user=USER, rights={"/": ["Sys.Audit"], "/vms/101": ["VM.Audit"]})
    (guest,) = run_module(proxmox_rng_info.main, guest_view=True, timeout=120, **options)["guests"]
    assert guest["guest_view"]["status"] == "error"
    assert "403 Permission check failed (/vms/101, VM.GuestAgent.Unrestricted" in guest["guest_view"]["why"]


def test_a_token_that_sees_nothing_is_no_empty_node(node: Node, options: dict[str, Any], run_module: Any) -> None:
    assert run_module(proxmox_rng_info.main, **options)["guests"] == []
    node.add(101, "name: web1\n")
    node.site(user=USER, rights={"/vms/102": ["VM.Config.HWType"]})
    assert run_module(proxmox_rng_info.main, **options) == {"failed": True, "msg": NO_RIGHTS}
    node.site(user=USER, rights={"/vms/102": ["VM.Audit"]})
    assert run_module(proxmox_rng_info.main, **options)["guests"] == []


def test_the_number_of_a_right_says_only_whether_it_is_passed_on(
    node: Node, options: dict[str, Any], run_module: Any
) -> None:
    node.add(101, "name: web1\n")
    for rights in ({"/vms/102": {"VM.Audit": 0}}, {"/": {}, "/pool/web": {"VM.Audit": 1}}):
        node.site(user=USER, rights=rights)
        assert run_module(proxmox_rng_info.main, **options)["guests"] == []


@pytest.mark.parametrize("answer", [[], ["VM.Audit"], "VM.Audit", 1, None])
def test_rights_that_are_none(answer: Any, node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.site(faults={"permissions": answer})
    result = run_module(proxmox_rng_info.main, **options)
    assert result == {"failed": True, "msg": "GET /access/permissions: its answer is not what the API promises"}


def test_one_lost_answer_is_not_the_end(node: Node, options: dict[str, Any], run_module: Any) -> None:
    for vmid in range(101, 111):
        node.add(vmid, f"name: web{vmid}\nrng0: /dev/urandom\n")
    lost = {path: {"hang up": True} for path in ("/pve1/qemu", "/103/pending", "/107/pending", "/version")}
    node.site(faults={"lost": {**lost, "/105/pending": {"status": [596, "Connection timed out"]}}})
    result = run_module(proxmox_rng_info.main, **options)
    assert [guest["error"] for guest in result["guests"]] == [None] * 10


def test_a_node_that_is_not_there(node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.add(101, "name: web1\n")
    result = run_module(proxmox_rng_info.main, **{**options, "node": "pve9"})
    assert result["msg"].startswith("the guests of this node cannot be listed: GET /nodes/pve9/qemu: hostname lookup")


def test_a_guest_without_the_right_to_see_it_is_not_there(node: Node, options: dict[str, Any], run_module: Any) -> None:
    for vmid in (101, 102):
        node.add(vmid, f"name: web{vmid}\nsmbios1: uuid=1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7{vmid}\n")
    node.site(user=USER, rights={"/vms/101": ["VM.Audit"]})
    assert [guest["name"] for guest in run_module(proxmox_rng_info.main, **options)["guests"]] == ["web101"]


def test_an_api_that_gets_lost_halfway_ends_it(
    node: Node, options: dict[str, Any], run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for vmid in range(101, 121):
        node.add(vmid, f"name: web{vmid}\n")
    read = backend.Session._read

    def lose(self: backend.Session, vmid: int) -> Any:
        if vmid == 103:
            node.site(faults={"https": {"status": [595, "No route to host"]}})
        return read(self, vmid)

    monkeypatch.setattr(backend.Session, "_read", lose)
    result = run_module(proxmox_rng_info.main, **options)
    assert result["failed"] is True
    assert result["msg"].endswith(": 595 No route to host")


def test_identities_are_those_that_the_node_itself_gives(
    node: Node, options: dict[str, Any], run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.add(101, "name: bare\n")
    node.site(cluster="main")
    (over,) = run_module(proxmox_rng_info.main, **options)["guests"]
    monkeypatch.undo()
    monkeypatch.setenv("PVE_STAND_IN", str(node.root))
    monkeypatch.setenv("PATH", f"{node.root / 'bin'}:/usr/bin:/bin")
    (local,) = backend.Backend(config_dir=str(node.configs)).session().observe_all()
    assert over["uuid"] == local.uuid


def test_the_name_of_the_cluster_may_be_hidden(node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.add(101, "name: bare\n")
    node.site(user=USER, rights={"/vms/101": ["VM.Audit"]})
    result = run_module(proxmox_rng_info.main, **options)
    assert result["failed"] is True
    assert "the name of this cluster cannot be read: 403 Permission check failed (/, Sys.Audit)" in result["msg"]


def test_check_mode_writes_nothing_there(node: Node, options: dict[str, Any], run_module: Any) -> None:
    node.add(101, "name: web1\n", running=True)
    result = run_module(proxmox_rng.main, check=True, diff=True, devices=[{"guest": "web1"}], **options)
    assert result["guests"][0]["live"] == "needs_restart"
    assert node.writes == []
