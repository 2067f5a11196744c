# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.main import main


def run(*arguments: str, program: str = "/usr/local/sbin/virtrngd") -> int:
    return main("1.2.3", [program, *arguments])


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == "virtrngd 1.2.3\n"
    assert run("--help") == 0
    assert "--config FILE" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--confg", "x"], ["--config"], ["status"]])
def test_what_is_unknown_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"virtrngd: {arguments[0]}: ")
    assert "usage: " in said


@pytest.mark.parametrize("spelt", [["--config", "{}"], ["--config={}"]])
def test_check_says_whether_a_configuration_is_sound(
    spelt: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "virtrngd.json"
    words = [word.format(path) for word in spelt]
    path.write_text(json.dumps({"classes": [{"name": "gold"}]}))
    assert run("--check", *words) == 0
    path.write_text(json.dumps({"classes": [{"name": "gold", "rate": 0}]}))
    assert run("--check", *words) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{path}: classes[gold].rate: 0 is not valid")
    path.unlink()
    assert run("--check", *words) == 1
    assert capsys.readouterr().err == f"{path}: No such file or directory\n"


def test_virtrngctl_is_the_same_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("--help", program="/usr/local/sbin/virtrngctl")
    assert "virtrngctl" in capsys.readouterr().out
