# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import guest as pure


def guest_recap(state: Any) -> str:
    """One line; it holds what the guest said, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(state, Mapping) or "guest" not in state:
        raise AnsibleFilterError("fleet.rng.guest_recap takes what the role rng_guest keeps in rng_guest_outcome")
    line: str = wrap_var(pure.recap(state))
    return line


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"guest_recap": guest_recap}
