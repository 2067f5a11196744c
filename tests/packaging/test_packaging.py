# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed from the tarball, and used by its full names."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".collections" / "ansible_collections" / "fleet" / "rng"
ACTION_GROUP = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["all"]
PLAYBOOKS = ["audit_rng", "disable_rng", "enable_rng", "watch_rng"]
# What a tarball may have at its top; a new folder is a decision.
SHIPPED = {"README.md", "LICENSE", "CONTRIBUTING.md", "DESIGN.md", "CHANGELOG.md", "MANIFEST.json", "FILES.json"}
SHIPPED |= {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball that ansible-galaxy builds."""
    target = tmp_path_factory.mktemp("build")
    run = ["ansible-galaxy", "collection", "build", "--output-path", str(target)]
    subprocess.run(run, cwd=TREE, check=True, capture_output=True)
    return next(target.glob("fleet-rng-*.tar.gz"))


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path that holds the installed tarball and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    run = ["ansible-galaxy", "collection", "install", "--offline", "--collections-path", str(target), str(tarball)]
    subprocess.run(run, check=True, capture_output=True, env=environment(target))
    return target


def environment(collections: Path) -> dict[str, str]:
    """Ours, but without the clone's settings: only the installed collection can be found."""
    config = collections / "ansible.cfg"
    config.touch()
    return {**os.environ, "ANSIBLE_CONFIG": str(config), "ANSIBLE_COLLECTIONS_PATH": str(collections)}


def ansible(installed: Path, *command: str) -> str:
    """Run one of Ansible's programs away from the clone."""
    done = subprocess.run(
        command, cwd=installed, env=environment(installed), check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return done.stdout


def test_the_tarball_holds_what_users_need_and_no_more(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert {path.partition("/")[0] for path in names} <= SHIPPED
    assert {"README.md", "LICENSE", "meta/runtime.yml"} <= set(names)
    assert not [path for path in names if "__pycache__" in path or path.endswith(".pyc")]


def test_ansible_doc_lists_the_modules_of_the_action_group(installed: Path) -> None:
    listed = json.loads(ansible(installed, "ansible-doc", "--json", "--list", "fleet.rng"))
    assert sorted(listed) == [f"fleet.rng.{module}" for module in sorted(ACTION_GROUP)]


@pytest.mark.parametrize("module", ACTION_GROUP)
def test_ansible_doc_shows(installed: Path, module: str) -> None:
    full = f"fleet.rng.{module}"
    doc = json.loads(ansible(installed, "ansible-doc", "--json", full))[full]
    assert doc["doc"]["collection"] == "fleet.rng"
    assert doc["examples"]
    assert doc["return"]


def test_ansible_doc_knows_the_arguments_of_every_role(installed: Path) -> None:
    roles = json.loads(ansible(installed, "ansible-doc", "--json", "--type", "role", "--list", "fleet.rng"))
    assert set(roles) == {f"fleet.rng.{path.name}" for path in (ROOT / "roles").iterdir()}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_is_found_by_its_full_name(installed: Path, playbook: str) -> None:
    inventory = installed / "inventory.ini"
    inventory.write_text("[hypervisors]\nhv1\n[guests]\nweb1\n")
    out = ansible(installed, "ansible-playbook", "--syntax-check", "-i", str(inventory), f"fleet.rng.{playbook}")
    assert "playbook:" in out
