# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""module_defaults of a play reach the modules that actions run. Plain QEMU's need no hypervisor for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def play(directory: Path, task: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """What a task on this machine returned."""
    answer = directory / "answer.json"
    save = {"content": "{{ answer | to_json }}", "dest": str(answer)}
    book = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": defaults,
        "vars": {"directory": str(directory), "ansible_python_interpreter": sys.executable},
        "tasks": [{**task, "register": "answer"}, {"ansible.builtin.copy": save}],
    }
    path = directory / "playbook.yml"
    path.write_text(yaml.safe_dump([book]))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory in which each file is a guest."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "web1.cfg").write_text("")
    return tmp_path


def test_of_the_module_that_observes(files: Path) -> None:
    observe = {"fleet.rng.rng_observe": {"kind": "qemu", "options": {"qemu": {"processes": False}}}}
    assert play(files, observe, {})["guests"] == []
    # The values are templates of the host, as everywhere.
    own = {"fleet.rng.qemu_rng_info": {"config_dir": "{{ directory }}/files", "processes": True}}
    (guest,) = [guest for guest in play(files, observe, own)["guests"] if guest["name"] == "web1"]
    assert guest["running"] is False


def test_what_the_task_says_goes_before_them(files: Path) -> None:
    told = {"qemu": {"processes": False, "config_dir": str(files / "files")}}
    observe = {"fleet.rng.rng_observe": {"kind": "qemu", "options": told, "sources": []}}
    defaults = {"fleet.rng.qemu_rng_info": {"config_dir": "/nowhere", "sources": ["/dev/random"]}}
    found = play(files, observe, defaults)
    assert [guest["name"] for guest in found["guests"]] == ["web1"]
    assert found["host"]["sources"] == {}


def test_those_of_another_kind_are_of_no_concern(files: Path) -> None:
    observe = {"fleet.rng.rng_observe": {"kind": "qemu", "options": {"qemu": {"processes": False}}}}
    assert play(files, observe, {"fleet.rng.libvirt_rng_info": {"uri": "test:///nowhere"}})["guests"] == []


def test_of_the_module_that_changes(files: Path) -> None:
    change = {
        "fleet.rng.rng_converge": {
            "kind": "qemu",
            "options": {"qemu": {"processes": False}},
            "devices": [{"guest": "web1", "max_bytes": 4096}],
        }
    }
    assert play(files, change, {"fleet.rng.qemu_rng": {"config_dir": "{{ directory }}/files"}})["changed"] is True
    assert 'max-bytes = "4096"' in (files / "files" / "web1.cfg").read_text()
