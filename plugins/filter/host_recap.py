# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import host as pure


def host_recap(state: Any, width: int = 100) -> list[str]:
    """A line, folded; it holds what the host said, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(state, Mapping) or "host" not in state:
        raise AnsibleFilterError("fleet.rng.host_recap takes what the role rng_host keeps in rng_host_outcome")
    lines: list[str] = wrap_var(pure.recap(state, width))
    return lines


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_recap": host_recap}
