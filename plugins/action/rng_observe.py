# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/kinds: run the ``_info`` module of whatever runs on the host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import COMMAND, recognized, the_only
from ansible_collections.fleet.rng.plugins.plugin_utils import kinds, on_controller
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.module_defaults import with_defaults

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "default": kinds.AUTO, "choices": [kinds.AUTO, *kinds.KINDS]},
    "options": {"type": "dict", "default": {}},
    "sources": {"type": "list", "elements": "str", "default": []},
    "guest_view": {"type": "bool", "default": False},
    "guest_exec": {"type": "bool", "default": False},
    "host_view": {"type": "bool", "default": False},
    "monitor": {"type": "bool", "default": False},
    "measure": {"type": "dict"},
    "guests": {"type": "list", "elements": "str"},
    "timeout": {"type": "int", "default": 10},
}


class ActionModule(ActionBase):
    """Observe a hypervisor of any kind: one module, and before it one command where the kind is not given."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        options, mistakes = validate("rng_observe", ARGUMENT_SPEC, self._task.args)
        if mistakes:
            return {**result, "failed": True, "msg": mistakes}
        # What is not given is left to module_defaults, and to the module, whose defaults are the same.
        options = {name: value for name, value in options.items() if name in ("kind", *self._task.args)}
        become = self._connection.become
        self._connection.set_become_plugin(None)  # until something needs it
        try:
            return {**result, **self._observe(options, become, task_vars)}
        except RngError as error:
            return {**result, "failed": True, "msg": str(error)}
        finally:
            self._connection.set_become_plugin(become)  # for the next attempt of a task with retries

    def _observe(self, options: dict[str, Any], become: Any, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        kind = kinds.given_kind(options)
        if kind == kinds.AUTO:
            kind = the_only(recognized(self._low_level_execute_command(COMMAND)["stdout"]))
        module, arguments = kinds.observing(kind, options)
        arguments = with_defaults(module, arguments, self._task, self._templar)
        if kinds.over_api(kind, arguments):
            return on_controller.run_module(self, module, arguments, task_vars)
        if kinds.needs_root(kind, arguments):
            self._connection.set_become_plugin(become)
        answer: dict[str, Any] = self._execute_module(
            module_name=module, module_args=arguments, task_vars=task_vars, wrap_async=False
        )
        return answer
