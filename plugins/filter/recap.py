# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/recap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import recap as pure


def recap(
    plan: Mapping[str, Any], results: Mapping[str, Any] | None = None, hosts: Iterable[str] = (), width: int = 100
) -> list[str]:
    """The lines of the table; they hold names of guests, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(plan, Mapping) or not isinstance(plan.get("hosts"), Mapping):
        raise AnsibleFilterError("fleet.rng.recap takes the plan that fleet.rng.rng_plan returned as its key plan")
    if not isinstance(results or {}, Mapping):
        raise AnsibleFilterError("fleet.rng.recap: results must be a mapping of hypervisors to registered results")
    lines: list[str] = wrap_var(pure.recap(plan, results, hosts, width))
    return lines


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"recap": recap}
