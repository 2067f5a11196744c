# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One variable, templated with the variables of a host; where that fails, the reason stands for its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated

# What is set shows in plans, in configurations and in the command lines of QEMU. A whole file may well be encrypted.
ENCRYPTED = Untemplated("such a value cannot be kept secret; write it in plain", "it is encrypted")
_ENCRYPTED_TYPES = ("EncryptedString", "AnsibleVaultEncryptedUnicode")  # of ansible-core 2.19, and before it


def templated(templar: Any, value: Any, variables: Mapping[str, Any], hostvars: Any) -> Any:
    """The value as the host sees it, or :class:`Untemplated`.

    :param templar: of the task; it stays as it is.
    :param variables: those of the host.
    """
    if not isinstance(value, str | list | dict):
        return ENCRYPTED if type(value).__name__ in _ENCRYPTED_TYPES else value
    try:
        own = templar.copy_with_new_env(available_variables={**variables, "hostvars": hostvars})
        return own.template(value)
    except AnsibleError as error:
        return Untemplated(printable(str(error), 300))
