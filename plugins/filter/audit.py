# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import audit as pure


def audit(machines: Mapping[str, Any], width: int = 100, sources: Mapping[str, Any] | None = None) -> list[str]:
    """The lines of the table; they hold what machines said, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(machines, Mapping):
        raise AnsibleFilterError("fleet.rng.audit takes a mapping of machines to what an audit said of them")
    if sources is not None and not isinstance(sources, Mapping):
        raise AnsibleFilterError(
            "fleet.rng.audit: sources is a mapping of machines to what rng_source_info said of them"
        )
    lines: list[str] = wrap_var(pure.audit(machines, width, sources))
    return lines


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"audit": audit}
