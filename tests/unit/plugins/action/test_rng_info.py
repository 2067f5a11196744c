# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action over a connection that is a shell on this machine, and its documentation against what it does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.fleet.rng.plugins.action import rng_info
from ansible_collections.fleet.rng.plugins.module_utils.kernel import probe
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.modules import rng_info as twin


class Machine:
    """Stands in for the connection: runs the command here, or answers what it was told to."""

    def __init__(self, stdout: str | None = None, stderr: str = "", error: Exception | None = None) -> None:
        self.answer = None if stdout is None else {"rc": 0, "stdout": stdout, "stderr": stderr}
        self.error = error
        self.commands: list[str] = []

    def __call__(self, command: str) -> dict[str, Any]:
        self.commands.append(command)
        if self.error:
            raise self.error
        if self.answer:
            return self.answer
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def run(machine: Machine, *, windows: bool = False, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    task = MagicMock(args=options, async_val=0, check_mode=check_mode, environment=None)
    connection = SimpleNamespace(_shell=SimpleNamespace(_IS_WINDOWS=windows, tmpdir=None))
    action = rng_info.ActionModule(task, connection, MagicMock(), MagicMock(), MagicMock(), MagicMock())
    action._low_level_execute_command = machine
    return action.run(task_vars={})


@pytest.mark.parametrize("check_mode", [False, True])
def test_one_command_tells_everything(check_mode: bool) -> None:
    machine = Machine()
    result = run(machine, check_mode=check_mode)
    assert result["changed"] is False
    assert "failed" not in result
    assert result["rng"]["kernel"]["release"] == probe.collect()["/proc/sys/kernel/osrelease"].strip()
    assert len(machine.commands) == 1


def test_a_recorded_tree_is_read_below_its_root(tmp_path: Any) -> None:
    root = tmp_path / "a tree"
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/osrelease").write_text("4.19.0-6-amd64\n")
    assert run(Machine(), root=str(root))["rng"]["kernel"] == {"release": "4.19.0-6-amd64", "arch": None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": "sys"}, "root: 'sys' is not valid; allowed: an absolute path"),
        ({"root": ""}, "root: '' is not valid"),
        ({"root": "/a\nb"}, r"root: '/a\\\\x0ab' is not valid"),
        ({"timeout": 0}, "timeout: 0 is not valid; allowed: seconds, an integer from 1 to 300"),
        ({"timeout": 301, "root": "x"}, "root: .*; timeout: 301"),
    ],
)
def test_a_value_that_nobody_could_mean_is_refused_before_anything_runs(options: dict[str, Any], message: str) -> None:
    machine = Machine()
    result = run(machine, **options)
    assert result["failed"] is True
    assert re.match(message, result["msg"])
    assert machine.commands == []


@pytest.mark.parametrize("options", [{"timeout": "soon"}, {"timeout": 1.5}, {"bogus": 1}])
def test_the_argument_specification_is_enforced(options: dict[str, Any]) -> None:
    machine = Machine()
    result = run(machine, **options)
    assert result["failed"] is True
    assert next(iter(options)) in result["msg"]
    assert machine.commands == []


def test_the_time_limit_reaches_the_machine() -> None:
    machine = Machine()
    run(machine, timeout="7")
    assert machine.commands == [probe.command("/", 7)]


def test_windows_is_unsupported_and_runs_nothing() -> None:
    machine = Machine()
    result = run(machine, windows=True)
    assert (result["failed"], result["unsupported"]) == (True, True)
    assert "only Linux is supported" in result["msg"]
    assert machine.commands == []


def test_other_unix_is_unsupported() -> None:
    result = run(Machine(f"{probe.BEGIN}\n= uname FreeBSD 14.1-RELEASE amd64\n{probe.END}\n"))
    assert (result["failed"], result["unsupported"]) == (True, True)
    assert result["msg"] == "only Linux is supported; this machine says FreeBSD 14.1-RELEASE amd64"
    assert "rng" not in result


def test_what_a_machine_says_instead_is_shown_harmless_and_short() -> None:
    result = run(Machine("% Invalid input\x1b[2J", stderr="sh: \x1b]0;x\x07" + "no " * 500))
    assert result["failed"] is True
    assert "unsupported" not in result
    assert result["msg"].startswith(
        r"the machine did not run the probe; it said: % Invalid input\x1b[2J; its error output: sh:"
    )
    assert result["msg"].isprintable()
    assert len(result["msg"]) < 500


def test_a_machine_that_is_away_is_an_answer_and_no_page_of_errors() -> None:
    result = run(Machine(error=AnsibleConnectionFailure("no\nroute")))
    assert (result["unreachable"], result["msg"]) == (True, "no\\x0aroute")
    assert "exception" not in result


def test_no_temporary_directory_is_made_and_check_mode_is_supported() -> None:
    assert rng_info.ActionModule.TRANSFERS_FILES is False
    assert rng_info.ActionModule._supports_check_mode is True


DOCUMENTATION = yaml.safe_load(twin.DOCUMENTATION)
RETURN = yaml.safe_load(twin.RETURN)
TYPES = {"bool": bool, "dict": dict, "int": int, "float": float, "list": list, "str": str}


def test_the_documented_options_are_those_of_the_action() -> None:
    documented = {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in DOCUMENTATION["options"].items()
    }
    assert documented == rng_info.ARGUMENT_SPEC
    assert f"V(1) to V({rng_info.LONGEST_TIMEOUT})" in DOCUMENTATION["options"]["timeout"]["description"][0]


def test_the_documented_result_has_the_keys_and_types_of_the_real_one() -> None:
    snapshot = {**probe.collect(), "!/proc/cmdline": "Permission denied"}
    snapshot["/sys/devices/virtual/misc/hw_random/rng_available"] = "tpm-rng-0\n"
    snapshot["/sys/devices/virtual/misc/hw_random/rng_current"] = "none\n"
    snapshot[BROKER] = Path(__file__).parents[2].joinpath("cases/kernel_broker/status.json").read_text(encoding="utf-8")
    rng = interpret(snapshot)
    assert rng["broker"]["guests"]
    assert rng["findings"]
    assert rng["unreadable"]
    _compare(RETURN["rng"], rng)


def _compare(documented: dict[str, Any], value: Any) -> None:
    assert value is None or isinstance(value, TYPES[documented["type"]]), documented
    if "contains" not in documented:
        return
    for item in value if isinstance(value, list) else [value]:
        assert list(item) == list(documented["contains"])
        for key, inner in documented["contains"].items():
            _compare(inner, item[key])


def test_the_documented_severities_are_all_there_are() -> None:
    text = str(RETURN["rng"]["contains"]["findings"]["contains"]["severity"]["description"])
    assert all(f"V({severity})" in text for severity in SEVERITIES)
