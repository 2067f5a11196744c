# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup gives a program that runs without Ansible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.lookup import watch_program

ROOT = Path(__file__).resolve().parents[4]


def look() -> str:
    (text,) = watch_program.LookupModule().run([])
    return str(text)


def test_the_program_runs_with_nothing_but_python(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(look(), encoding="utf-8")
    # -S leaves out site-packages: no Ansible, no libvirt, nothing that is installed here.
    command = [sys.executable, "-I", "-S", str(program), "--hypervisor", "libvirt"]
    found = subprocess.run([*command, "--stdout"], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert found.returncode == 1  # there is no libvirt to be observed with
    assert "python3-libvirt" in found.stderr
    assert 'fleet_rng_hypervisor_observed{hypervisor="' in found.stdout
    assert found.stdout.endswith("# EOF\n")
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True, cwd="/")
    expected = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert version.stdout == f"fleet-rng-watch {expected}\n"


@pytest.mark.parametrize("kind", ["qemu", "proxmox", "ganeti"])
def test_other_kinds_need_no_binding_of_libvirt(kind: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(look(), encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(program), "--stdout", "--hypervisor", kind]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert found.returncode in (0, 1), found.stderr  # whether it is there is another thing
    assert "libvirt" not in found.stderr
    assert "fleet_rng_hypervisor_observed" in found.stdout


def test_it_is_the_same_every_time() -> None:
    assert look() == look()


def test_it_is_the_collections_own_code() -> None:
    text = look()
    for name in (
        "watch",
        "metrics",
        "kernel/interpret",
        "backend/libvirt",
        "backend/qemu",
        "backend/proxmox",
        "backend/ganeti",
    ):
        source = (ROOT / "plugins" / "module_utils" / f"{name}.py").read_text(encoding="utf-8")
        assert source in text


def test_it_brings_none_of_the_runners_that_change_or_measure_guests() -> None:
    text = look()
    for name in ("module.apply", "module.convergence", "module.restart", "module.views", "module.info"):
        assert f"SOURCES['fleet_rng.{name}']" not in text


def test_terms_are_refused() -> None:
    with pytest.raises(AnsibleError, match="takes no terms"):
        watch_program.LookupModule().run(["a"])
