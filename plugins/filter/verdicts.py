# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import verdicts as pure


def verdicts(verification: Mapping[str, Any], width: int = 100) -> list[str]:
    """The lines of the table; they hold what guests said, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(verification, Mapping) or not isinstance(verification.get("hosts"), Mapping):
        raise AnsibleFilterError(
            "fleet.rng.verdicts takes the verification that fleet.rng.rng_verify returned as its key verification"
        )
    lines: list[str] = wrap_var(pure.verdicts(verification, width))
    return lines


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"verdicts": verdicts}
