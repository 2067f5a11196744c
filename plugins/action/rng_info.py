# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the probe through the connection, and interpret on the controller what comes back."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.kernel import probe
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "root": {"type": "str", "default": "/"},
    "timeout": {"type": "int", "default": 10},
}
LONGEST_TIMEOUT = 300


class ActionModule(ActionBase):
    """Audit the kernel RNG of a machine with one command: no Python there, no temporary file, no change."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        result["changed"] = False
        options, mistakes = validate("rng_info", ARGUMENT_SPEC, self._task.args)
        mistakes = mistakes or "; ".join(_mistakes(options["root"], options["timeout"]))
        if mistakes:
            return {**result, "failed": True, "msg": mistakes}
        if getattr(self._connection._shell, "_IS_WINDOWS", False):
            return {**result, **_unsupported("only Linux is supported; this is a connection to Windows")}
        try:
            answer = self._low_level_execute_command(probe.command(options["root"], options["timeout"]))
        except AnsibleConnectionFailure as error:
            # As an answer: the exception would fill the screen for each machine that is away.
            return {**result, "unreachable": True, "msg": printable(str(error), 600)}
        try:
            result["rng"] = interpret(probe.parse(answer["stdout"]))
        except probe.UnsupportedSystemError as error:
            result.update(_unsupported(str(error)))
        except probe.ProbeError as error:
            said = printable(answer["stderr"].strip())
            result.update(failed=True, msg=f"{error}; its error output: {said}" if said else str(error))
        return result


def _mistakes(root: str, timeout: int) -> list[str]:
    """What the argument specification cannot say."""
    mistakes = []
    if not root.startswith("/") or len(root) > 4096 or any(ord(character) < 32 for character in root):
        mistakes.append(f"root: {printable(root)!r} is not valid; allowed: an absolute path")
    if not 1 <= timeout <= LONGEST_TIMEOUT:
        mistakes.append(f"timeout: {timeout} is not valid; allowed: seconds, an integer from 1 to {LONGEST_TIMEOUT}")
    return mistakes


def _unsupported(reason: str) -> dict[str, Any]:
    return {"failed": True, "unsupported": True, "msg": reason}
