# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.fleet.rng.plugins.plugin_utils import host as pure


def host_permissions(wishes: Any) -> dict[str, Any]:
    """The role's variable rng_host_permissions with its defaults."""
    try:
        return pure.permissions(wishes)
    except ValueError as error:
        raise AnsibleFilterError(f"rng_host_permissions: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_permissions": host_permissions}
