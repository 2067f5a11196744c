# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the kind of a hypervisor: what a host answers, and the script as this machine runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import COMMAND, recognized, the_only


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
    assert the_only(recognized(said(*lines))) == kind


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
        the_only(recognized(said(*lines)))


@pytest.mark.parametrize("output", ["", "runs libvirt\nend", "fleet-rng-kinds\nruns libvirt\n"])
def test_an_answer_that_is_not_whole_tells_nothing(output: str) -> None:
    with pytest.raises(HypervisorError, match="what runs on this host cannot be told"):
        recognized(output)


def test_what_a_host_says_instead_is_shown_harmless() -> None:
    with pytest.raises(HypervisorError, match=r"it said: % Invalid input\\x1b\[2J"):
        recognized("% Invalid input\x1b[2J")


def run(directory: Path, *programs: str) -> str:
    """The output of the real command, on this machine with more programs."""
    for name in programs:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", COMMAND], env=environment, capture_output=True, text=True, timeout=60, check=False
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
