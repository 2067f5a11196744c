# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module on the controller: with nothing of what is set for the host."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.plugins import loader
from ansible_collections.fleet.rng.plugins.plugin_utils.on_controller import run_module


class Action:
    """What an action is to this: notes what it was told to run, and over which connection."""

    def __init__(self, delegate_to: str | None = None) -> None:
        self._task = SimpleNamespace(delegate_to=delegate_to)
        self._play_context = PlayContext()
        self._play_context.executable = "/opt/of/the/host/sh"
        self._play_context.shell = "powershell"
        self._shared_loader_obj = loader
        self.host = self._connection = SimpleNamespace(become="sudo", set_become_plugin=self.become)
        self.ran: dict[str, Any] = {}
        self.over: Any = None
        self.context: Any = None
        self.cleaned: list[Any] = []

    def become(self, plugin: Any) -> None:
        self.host.become = plugin

    def _execute_module(self, **options: Any) -> dict[str, Any]:
        self.ran = options
        self.over, self.context = self._connection, self._play_context
        assert self.over.become is None
        if options["module_args"].get("fail"):
            raise AnsibleError("no")
        return {"changed": False}

    def cleanup(self, force: bool = False) -> None:
        assert force, "nothing goes on in the background"
        self.cleaned.append(self._connection)
        if self.ran["module_args"].get("fail") == "twice":
            raise AnsibleError("nor that")


VARIABLES = {"ansible_python_interpreter": "/usr/libexec/platform-python", "ansible_become": True, "kept": 1}


def test_it_runs_here_as_whoever_runs_ansible() -> None:
    action = Action()
    context = action._play_context
    assert run_module(action, "fleet.rng.x", {"a": 1}, VARIABLES) == {"changed": False}  # type: ignore[arg-type]
    assert action.ran["module_args"] == {"a": 1}
    assert action.ran["task_vars"]["ansible_python_interpreter"] == sys.executable
    assert action.ran["task_vars"]["kept"] == 1
    assert action.over.transport == "local"
    assert action.over._shell.SHELL_FAMILY == "sh"
    assert action.context.executable == constants.DEFAULT_EXECUTABLE
    assert action.cleaned == [action.over]
    assert context.executable == "/opt/of/the/host/sh", "that of the host is not touched"
    assert action.host.become == "sudo", "nor is its connection"
    assert VARIABLES["ansible_python_interpreter"] == "/usr/libexec/platform-python"


def test_a_task_that_is_delegated_runs_there() -> None:
    action = Action(delegate_to="bastion")
    run_module(action, "fleet.rng.x", {}, VARIABLES)  # type: ignore[arg-type]
    assert action.over is action._connection is action.host
    assert action.ran["task_vars"] == VARIABLES


@pytest.mark.parametrize("delegate_to", [None, "bastion"])
@pytest.mark.parametrize("fail", [None, "once", "twice"])
def test_the_next_attempt_begins_as_the_first_did(delegate_to: str | None, fail: str | None) -> None:
    """A task with retries runs the same action again."""
    action = Action(delegate_to)
    context = action._play_context
    for dummy in range(2):
        with pytest.raises(AnsibleError) if fail else nullcontext():
            run_module(action, "fleet.rng.x", {"fail": fail}, VARIABLES)  # type: ignore[arg-type]
        assert action._connection is action.host
        assert action._play_context is context
        assert action.host.become == "sudo"
    assert len(action.cleaned) == 2
