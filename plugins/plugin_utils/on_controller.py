# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that an action runs on the controller, for hosts that are asked over an API and need no connection.

Nothing that is set for the host counts there: not its user, its interpreter, its shell, its directories, nor become. A
task that is delegated runs where it is delegated to, as its author said.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase


def run_module(action: ActionBase, module: str, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
    """Run a module here, with this Python, as whoever runs Ansible.

    The host's own connection is not even opened. Afterwards the action has it again, as it was, since it may be run
    once more, and what it left here is cleaned up before that.
    """
    variables = dict(task_vars or {})
    before = action._play_context, action._connection
    if not action._task.delegate_to:
        context = copy.copy(action._play_context)
        context.executable, context.shell = constants.DEFAULT_EXECUTABLE, None
        loader = action._shared_loader_obj.connection_loader
        action._play_context, action._connection = context, loader.get("local", context)
        variables["ansible_python_interpreter"] = sys.executable
    become = action._connection.become
    action._connection.set_become_plugin(None)
    try:
        answer: dict[str, Any] = action._execute_module(
            module_name=module, module_args=arguments, task_vars=variables, wrap_async=False
        )
    finally:
        try:
            action.cleanup(force=True)
        finally:
            action._connection.set_become_plugin(become)
            action._play_context, action._connection = before
    return answer
