# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module on the controller: with nothing of what is set for the host."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from ansible import constants
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

    def become(self, plugin: Any) -> None:
        self.host.become = plugin

    def _execute_module(self, **options: Any) -> dict[str, Any]:
        self.ran = options
        return {"changed": False}


VARIABLES = {"ansible_python_interpreter": "/usr/libexec/platform-python", "ansible_become": True, "kept": 1}


def test_it_runs_here_as_whoever_runs_ansible() -> None:
    action = Action()
    context = action._play_context
    assert run_module(action, "fleet.rng.x", {"a": 1}, VARIABLES) == {"changed": False}  # type: ignore[arg-type]
    assert action.ran["module_args"] == {"a": 1}
    assert action.ran["task_vars"]["ansible_python_interpreter"] == sys.executable
    assert action.ran["task_vars"]["kept"] == 1
    connection: Any = action._connection
    assert (connection.transport, connection.become) == ("local", None)
    assert connection._shell.SHELL_FAMILY == "sh"
    assert action._play_context.executable == constants.DEFAULT_EXECUTABLE
    assert context.executable == "/opt/of/the/host/sh", "that of the host is not touched"
    assert action.host.become == "sudo", "nor is its connection"
    assert VARIABLES["ansible_python_interpreter"] == "/usr/libexec/platform-python"


def test_a_task_that_is_delegated_runs_there() -> None:
    action = Action(delegate_to="bastion")
    run_module(action, "fleet.rng.x", {}, VARIABLES)  # type: ignore[arg-type]
    assert action._connection is action.host
    assert action.host.become is None
    assert action.ran["task_vars"] == VARIABLES
