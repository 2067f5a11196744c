# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and its playbooks over the HTTPS API of Proxmox VE, from here: no run has another way to the node."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from api import SECRET, TOKEN, USER, Node, play

OURS = "source=/dev/urandom,period=1000,max_bytes=1024"
HW_RANDOM = "/sys/devices/virtual/misc/hw_random"
INSIDE = {
    f"{HW_RANDOM}/rng_current": "virtio_rng.0\n",
    f"{HW_RANDOM}/rng_available": "virtio_rng.0\n",
    "/proc/sys/kernel/osrelease": "6.1.0-30-amd64\n",
    "/sys/module/virtio_rng/initstate": "live\n",
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    found = Node(tmp_path)
    found.add(101, "agent: 1\nmemory: 512\nname: web1\n", running=True)
    found.add(102, "name: golden\ntemplate: 1\n", running=False)
    found.add(103, "name: theirs\nrng0: /dev/urandom\n", running=False)
    found.agent(101, INSIDE, osinfo={"id": "debian", "name": "Debian GNU/Linux", "kernel-release": "6.1.0-30-amd64"})
    with found.serving() as served:
        yield served


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Without the line breaks of tables."""
    return " ".join((done.stdout + done.stderr).split())


def test_from_nothing_to_proof_and_back(node: Node, tmp_path: Path) -> None:
    before = node.texts()
    done = play([node], "fleet.rng.enable_rng", "--check", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (node.texts(), node.writes()) == (before, [])
    assert "1024 B / 1000 ms" in done.stdout

    done = play([node], "fleet.rng.enable_rng")
    assert done.returncode == 0, done.stdout + done.stderr
    assert node.texts() == {**before, 101: f"{before[101]}\n[PENDING]\nrng0: {OURS}\n"}

    done = play([node], "fleet.rng.enable_rng", virtio_rng_restart="when_needed", virtio_rng_wait=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"rng0: {OURS}\n" in node.texts()[101]
    assert "PENDING" not in node.texts()[101]

    done = play([node], "fleet.rng.enable_rng")
    assert "changed=0" in done.stdout
    assert node.writes() == []

    report = ("-e", f"rng_report_dir={tmp_path}/report")
    done = play([node], "fleet.rng.verify_rng", *report, virtio_rng_view_timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 guests verified" in done.stdout, done.stdout
    (host,) = json.loads((tmp_path / "report/report.json").read_text())["hosts"]
    (guest,) = [guest for guest in host["guests"] if guest["name"] == "web1"]
    assert (guest["verdict"], guest["checks"]["open"]["result"]) == ("verified", "unknown")
    assert guest["checks"]["open"]["message"].startswith("it is asked over the API of Proxmox VE, which does not show")

    done = play([node], "fleet.rng.disable_rng", virtio_rng_restart="when_needed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert node.texts() == before


def test_an_audit_claims_nothing_of_the_node(node: Node, tmp_path: Path) -> None:
    done = play([node], "fleet.rng.audit_rng")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "pve1.example.com" in line and " host " in line]
    assert row.strip(' ",').split()[1:] == ["host", "-", "unknown", "-", "-", "-", "unknown", "-"]

    done = play([node], "fleet.rng.enable_rng", "-e", f"rng_report_dir={tmp_path}/report")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report/report.json").read_text())
    (host,) = report["hosts"]
    assert {rule["result"] for rule in host["compliance"]} == {"unknown"}
    assert host["rng"]["unreadable"][0]["path"] == "/"
    for path in (tmp_path / "report").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_files_on_a_node_that_nothing_logs_in_to_are_left_out(node: Node) -> None:
    done = play([node], "fleet.rng.enable_rng", "-e", "rng_verify=true", virtio_rng_config_dir="/etc/rng")
    assert "No device files here: " in said(done)
    assert "unreachable=0" in done.stdout, done.stdout + done.stderr
    assert "1024 B / 1000 ms" in done.stdout, "it is in the recap"
    assert "verified" in done.stdout, "and proven"
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"rng0: {OURS}\n" in node.texts()[101]


@pytest.mark.parametrize(("kind", "out"), [("auto", True), ("proxmox", True), ("libvirt", False), ("none", False)])
def test_a_watch_is_left_out_only_where_the_api_is_what_counts(
    kind: str, out: bool, node: Node, tmp_path: Path
) -> None:
    """The API may be in the variables of all hypervisors. What comes next is refused here, before anything is done."""
    book = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "fleet.rng.rng_report", "tasks_from": "watch"},
                    "vars": {"rng_report_watch_name": "not a name", "rng_report_watch_hypervisor": kind},
                }
            ],
        }
    ]
    (tmp_path / "watch.json").write_text(json.dumps(book))
    done = play([node], str(tmp_path / "watch.json"), ansible_connection="local")
    assert ("No watch here" in said(done)) == out, done.stdout + done.stderr
    assert (done.returncode == 0) == out


def test_what_others_change_meanwhile_is_kept(node: Node) -> None:
    node.site(faults={"meanwhile": {"101": [{"cores": "4"}]}})
    done = play([node], "fleet.rng.enable_rng")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cores: 4\n" in node.texts()[101]
    assert node.texts()[101].endswith(f"\n[PENDING]\nrng0: {OURS}\n")
    assert len(node.writes()) == 2, "the first was refused"


def test_the_secret_is_never_shown(node: Node) -> None:
    done = play([node], "fleet.rng.enable_rng", "-vvvv", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "api_token_secret" in done.stdout, "its place is shown"
    assert SECRET not in done.stdout + done.stderr
    node.site(faults={"https": {"echo": True}})
    done = play([node], "fleet.rng.enable_rng", "-vvvv")
    assert done.returncode != 0
    assert "you said PVEAPIToken=ansible@pve!fleet=" in said(done)
    assert SECRET not in done.stdout + done.stderr


def test_a_credential_in_the_environment(node: Node) -> None:
    """As AWX hands it to an execution environment; the host of it counts for nothing."""
    given = {"user": USER, "token_id": TOKEN, "token_secret": SECRET}
    credential = {f"PROXMOX_{name.upper()}": value for name, value in given.items()}
    credential["PROXMOX_CA_PATH"] = str(node.certificates / "pve-root-ca.pem")
    unset = {f"virtio_rng_proxmox_{name}": "" for name in ("api_user", "api_token_id", "api_token_secret", "ca_path")}
    done = play([node], "fleet.rng.enable_rng", credential={**credential, "PROXMOX_HOST": "pve1.invalid"}, **unset)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"rng0: {OURS}\n" in node.texts()[101]
    done = play([node], "fleet.rng.enable_rng", **unset)
    assert done.returncode != 0
    assert "missing parameter(s) required by 'api_host': api_user, api_token_id, api_token_secret" in said(done)


def test_a_certificate_that_is_not_trusted(node: Node) -> None:
    done = play([node], "fleet.rng.enable_rng", virtio_rng_proxmox_ca_path="")
    assert done.returncode != 0
    assert f"127.0.0.1:{node.port}: its certificate is not trusted: " in said(done)
    assert "set ca_path to the certificate of its CA (on a node: /etc/pve/pve-root-ca.pem)" in said(done)
    assert node.calls() == [], "the token was not shown to it"
    done = play([node], "fleet.rng.enable_rng", virtio_rng_proxmox_ca_path="", virtio_rng_proxmox_validate_certs=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tokens_that_may_not(node: Node) -> None:
    before = node.texts()
    done = play([node], "fleet.rng.enable_rng", virtio_rng_proxmox_api_token_secret="0" * 36)
    assert done.returncode != 0
    assert "does not take the token ansible@pve!fleet: Authentication failed!" in said(done)

    node.site(user=USER, rights={"/vms": ["VM.Config.HWType"]})
    done = play([node], "fleet.rng.enable_rng")
    assert done.returncode != 0
    assert "the token may see no guest: give it VM.Audit on /vms" in said(done)

    node.site(user=USER, rights={"/vms/101": ["VM.Audit"], "/vms/103": ["VM.Audit"]})
    done = play([node], "fleet.rng.enable_rng")
    assert done.returncode != 0
    assert "1 of 1 guests failed: web1: 403 Permission check failed (/vms/101, VM.Config.HWType" in said(done)
    assert node.texts() == before


def test_an_api_that_hangs_holds_up_only_its_own_node(node: Node, tmp_path: Path) -> None:
    other = Node(tmp_path, "pve2")
    other.add(201, "name: web2\n", running=False)
    node.site(faults={"hang": 3600})
    node.more["virtio_rng_proxmox_api_timeout"] = 5
    with other.serving():
        done = play([node, other], "fleet.rng.enable_rng")
    assert done.returncode != 0
    assert "did not answer within 5 seconds" in said(done)
    assert f"rng0: {OURS}\n" in other.texts()[201]


def test_nobody_there(node: Node) -> None:
    done = play([node], "fleet.rng.enable_rng", virtio_rng_proxmox_api_port=1)
    assert done.returncode != 0
    assert "127.0.0.1:1 is not to be reached: Connection refused" in said(done)
