# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``module_defaults`` for a module that an action runs: Ansible applies those of the action only.

By the function that Ansible's own actions use, such as ``package`` and ``service``. It has two names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.executor import module_common


def with_defaults(module: str, arguments: Mapping[str, Any], task: Any, templar: Any) -> dict[str, Any]:
    """The arguments, and below them what the play sets for the module, by its name or its groups.

    :param module: its full name.
    """
    apply = getattr(module_common, "_apply_action_arg_defaults", None)
    if apply is not None:  # ansible-core 2.19 and later
        return dict(apply(module, task, dict(arguments), templar))
    groups = task._parent._play._action_groups
    return dict(
        module_common.get_action_args_with_defaults(
            module, dict(arguments), task.module_defaults, templar, action_groups=groups
        )
    )
