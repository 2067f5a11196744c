# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup gives a daemon that runs without Ansible, and the role's script finds out whether it answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.lookup import broker_program

ROOT = Path(__file__).resolve().parents[4]
ASK = ROOT / "roles" / "rng_broker" / "files" / "ask.py"
# The package itself, and the few files beside broker/ that hosts get with it.
ALLOWED = r"fleet_rng(\.(errors|text|health|metrics|broker(\.\w+)?))?"
# -S leaves out site-packages: no Ansible, nothing that is installed here.
PYTHON = (sys.executable, "-I", "-S")


def look() -> str:
    (text,) = broker_program.LookupModule().run([])
    return str(text)


def run(*command: str | Path, code: int = 0) -> str:
    done = subprocess.run([*PYTHON, *command], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """As the role installs it, with the link to it."""
    path = tmp_path / "virtrngd"
    path.write_text(look(), encoding="utf-8")
    (tmp_path / "virtrngctl").symlink_to(path.name)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "virtrngd.json"
    own = {"control": str(tmp_path / "control.sock"), "status_file": None}
    classes = [{"name": "gold", "rate": 1024, "sockets": [str(tmp_path / "gold.sock")]}]
    path.write_text(json.dumps({**own, "classes": classes}), encoding="utf-8")
    return path


def test_it_has_its_version_and_two_names(program: Path) -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert run(program, "--version") == f"virtrngd {version}\n"
    assert run(program.with_name("virtrngctl"), "--version") == f"virtrngctl {version}\n"


def test_it_checks_a_configuration(program: Path, config: Path) -> None:
    run(program, "--check", "--config", config)
    config.write_text('{"clases": []}')
    run(program, "--check", "--config", config, code=1)


def test_it_serves_and_the_roles_script_sees_that(program: Path, config: Path) -> None:
    missing = config.with_name("silver.sock")
    daemon = subprocess.Popen([*PYTHON, program, "--config", config], stderr=subprocess.DEVNULL)
    try:
        assert run(ASK, "30", config.with_name("gold.sock")) == ""
        shown = run(program.with_name("virtrngctl"), "--socket", config.with_name("control.sock"), "status", "--json")
        assert json.loads(shown)["pid"] == daemon.pid
        said = run(ASK, "0", config.with_name("gold.sock"), missing, code=1)
        assert said == f"{missing}: No such file or directory\n"
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 0


def test_it_is_the_same_every_time() -> None:
    assert look() == look()


def test_it_brings_little_beside_the_broker() -> None:
    names = re.findall(r"^SOURCES\['([^']*)'\]", look(), re.MULTILINE)
    assert "fleet_rng.broker.server" in names
    assert [name for name in names if not re.fullmatch(ALLOWED, name)] == []


def test_the_role_can_read_its_version_from_it() -> None:
    """``__rng_broker_version`` of the role's variables."""
    variables = yaml.safe_load((ROOT / "roles" / "rng_broker" / "vars" / "main.yml").read_text(encoding="utf-8"))
    expression = re.search(r"regex_search\('(.+?)', '", variables["__rng_broker_version"])
    assert expression
    (found,) = re.findall(expression.group(1).replace("\\\\", "\\"), look())
    assert found == yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]


def test_terms_are_refused() -> None:
    with pytest.raises(AnsibleError, match="broker_program takes no terms"):
        broker_program.LookupModule().run(["a"])
