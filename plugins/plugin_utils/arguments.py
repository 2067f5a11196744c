# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of an action, held against its specification with the same words on every ansible-core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError


def validate(
    action: str, specification: Mapping[str, Mapping[str, Any]], arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """The options with their types and defaults; and all that is wrong with them, empty when they are good."""
    validation = ArgumentSpecValidator(specification).validate(arguments)
    # Ansible's own message begins with the name of the option: modules get the words before it, actions do not.
    unsupported = f"Unsupported parameters for (fleet.rng.{action}) module: "
    mistakes = [
        unsupported + error.msg if isinstance(error, UnsupportedError) else error.msg for error in validation.errors
    ]
    return validation.validated_parameters, "; ".join(mistakes)
