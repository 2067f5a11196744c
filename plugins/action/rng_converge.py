# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/kinds: run the module that changes the guests of a kind of hypervisor."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils import kinds, on_controller
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.module_defaults import with_defaults

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "required": True, "choices": list(kinds.KINDS)},
    "options": {"type": "dict", "default": {}},
    "devices": {"type": "list", "elements": "dict", "required": True},
    "live": {"type": "bool", "default": True},
    "exclusive": {"type": "bool", "default": True},
    "wait": {"type": "int", "default": 5},
    "restart_serial": {"type": "int", "default": 1},
    "restart_timeout": {"type": "int", "default": 300},
    "restart_force": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Change the guests of a hypervisor of any kind, with one module."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        options, mistakes = validate("rng_converge", ARGUMENT_SPEC, self._task.args)
        if mistakes:
            return {**result, "failed": True, "msg": mistakes}
        # What is not given is left to module_defaults, and to the module, whose defaults are the same.
        options = {name: value for name, value in options.items() if name in self._task.args}
        try:
            module, arguments = kinds.converging(options["kind"], options)
        except RngError as error:
            return {**result, "failed": True, "msg": str(error)}
        arguments = with_defaults(module, arguments, self._task, self._templar)
        if kinds.over_api(options["kind"], arguments):
            return {**result, **on_controller.run_module(self, module, arguments, task_vars)}
        answer: dict[str, Any] = self._execute_module(
            module_name=module, module_args=arguments, task_vars=task_vars, wrap_async=False
        )
        return {**result, **answer}
