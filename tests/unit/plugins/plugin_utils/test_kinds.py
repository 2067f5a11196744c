# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the kind of a hypervisor, and which arguments reach the modules of each."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC
from ansible_collections.fleet.rng.plugins.plugin_utils import kinds

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"


def said(*lines: str) -> str:
    return "\n".join(["motd of the host", "fleet-rng-kinds", *lines, "end", ""])


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["runs libvirt", "installed libvirt", "processes qemu"], "libvirt"),
        (["runs proxmox", "processes qemu"], "proxmox"),
        (["runs ganeti", "installed ganeti", "processes qemu"], "ganeti"),
        (["runs ganeti", "installed libvirt", "installed ganeti"], "ganeti"),
        (["installed libvirt", "processes qemu"], "libvirt"),
        (["processes qemu"], "qemu"),
    ],
)
def test_sockets_and_files_say_more_than_programs_and_those_more_than_processes(lines: list[str], kind: str) -> None:
    assert kinds.tell_kind(said(*lines)) == kind


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["runs proxmox", "runs libvirt"], "several kinds of hypervisor are on this host: libvirt, proxmox; set "),
        (["installed ganeti", "installed libvirt"], "several kinds of hypervisor are on this host: libvirt, ganeti; "),
        ([], r"no hypervisor was recognized on this host \(known: libvirt, qemu, proxmox, ganeti; "),
        (["runs bhyve", "runs", ""], "no hypervisor was recognized"),
    ],
)
def test_what_is_not_clear_is_an_error(lines: list[str], message: str) -> None:
    with pytest.raises(HypervisorError, match=message):
        kinds.tell_kind(said(*lines))


@pytest.mark.parametrize("output", ["", "runs libvirt\nend", "fleet-rng-kinds\nruns libvirt\n"])
def test_an_answer_that_is_not_whole_tells_nothing(output: str) -> None:
    with pytest.raises(HypervisorError, match="what runs on this host cannot be told"):
        kinds.tell_kind(output)


def test_what_a_host_says_instead_is_shown_harmless() -> None:
    with pytest.raises(HypervisorError, match=r"it said: % Invalid input\\x1b\[2J"):
        kinds.tell_kind("% Invalid input\x1b[2J")


def run(directory: Path, *programs: str) -> str:
    """The output of the real command, on this machine with more programs."""
    for name in programs:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", kinds.COMMAND], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout


def test_the_command_finds_programs(tmp_path: Path) -> None:
    lines = run(tmp_path, "pvesh", "gnt-instance", "libvirtd", "virtqemud").splitlines()
    assert (lines[0], lines[-1]) == ("fleet-rng-kinds", "end")
    assert [line for line in lines if line.startswith("installed")] == ["installed libvirt", "installed ganeti"]
    assert "runs proxmox" in lines


def test_the_command_finds_processes(tmp_path: Path) -> None:
    program = tmp_path / "qemu-system-riscv64"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "600"]) as process:
        try:
            assert "processes qemu" in run(tmp_path).splitlines()
        finally:
            process.kill()


ALL: dict[str, Any] = {
    "kind": "auto",
    "options": {"libvirt": {"uri": "test:///default"}, "qemu": {"sockets": ["/run/*.qmp"], "processes": None}},
    "sources": ["/dev/hwrng"],
    "guest_view": True,
    "guest_exec": False,
    "host_view": True,
    "monitor": False,
    "measure": None,
    "guests": ["web1"],
    "timeout": 10,
}


def test_what_is_looked_at() -> None:
    views = {"guest_view": True, "guest_exec": False, "host_view": True, "monitor": False}
    asked = {"sources": ["/dev/hwrng"], **views, "guests": ["web1"], "timeout": 10}
    assert kinds.observing("libvirt", ALL) == ("fleet.rng.libvirt_rng_info", {**asked, "uri": "test:///default"})
    assert kinds.observing("qemu", ALL) == ("fleet.rng.qemu_rng_info", {**asked, "sockets": ["/run/*.qmp"]})
    assert kinds.observing("ganeti", ALL) == ("fleet.rng.ganeti_rng_info", asked)


def test_what_is_changed() -> None:
    options = {"kind": "qemu", "options": ALL["options"], "devices": [{"guest": "web1"}], "live": True, "wait": None}
    assert kinds.converging("qemu", options) == (
        "fleet.rng.qemu_rng",
        {"devices": [{"guest": "web1"}], "live": True, "sockets": ["/run/*.qmp"]},
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"xen": {}}, "options: 'xen' is not valid; allowed: mappings of libvirt, qemu, proxmox, ganeti"),
        ({"libvirt": "qemu:///system"}, "options.libvirt: 'qemu:///system' is not valid; allowed: a mapping"),
    ],
)
def test_options_are_mappings_by_kind(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        kinds.observing("libvirt", {"options": options})


@pytest.mark.parametrize(
    ("kind", "options", "needed"),
    [
        ("libvirt", {}, False),
        ("libvirt", {"sources": [], "guest_view": False}, False),
        ("libvirt", {"sources": ["/dev/hwrng"]}, True),
        ("libvirt", {"host_view": True}, True),
        ("proxmox", {}, True),
    ],
)
def test_root_is_for_those_who_need_it(kind: str, options: dict[str, Any], needed: bool) -> None:
    assert kinds.needs_root(kind, options) is needed


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_module_of_each_kind_has_the_views(kind: str) -> None:
    tree = ast.parse((MODULES / f"{kind}_rng_info.py").read_text())
    assert "VIEWS_SPEC" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(kinds.VIEWS) == set(VIEWS_SPEC)


def test_every_kind_has_its_commands() -> None:
    assert {kind: sorted(commands) for kind, commands in kinds.COMMANDS.items()} == {
        kind: ["log", "restart", "show"] for kind in kinds.KINDS
    }
