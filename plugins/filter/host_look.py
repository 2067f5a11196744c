# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import host as pure


def host_look(lines: Sequence[str], sources: Sequence[str] = ()) -> dict[str, Any]:
    """What the role's look at the host found, which must never be templated (ansible-core 2.18 would)."""
    look = pure.seen(lines)
    found: dict[str, Any] = wrap_var({**look, "obstacles": pure.obstacles(look, list(sources))})
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_look": host_look}
