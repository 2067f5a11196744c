# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints lines as they are: the callbacks would fold, quote or escape a table until nobody can read it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "lines": {"type": "list", "elements": "str", "required": True},
}

LIMIT = 500  # characters of a line

display = Display()


class ActionModule(ActionBase):
    """Show a table that one of the filters of this collection has made."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        del tmp
        options, mistakes = validate("rng_show", ARGUMENT_SPEC, self._task.args)
        if mistakes:
            raise AnsibleActionFail(mistakes)
        lines = [printable(line, LIMIT) for line in options["lines"]]
        display.display("\n".join(lines))
        result.update(changed=False, lines=lines)
        return result
