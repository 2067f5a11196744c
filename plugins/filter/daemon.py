# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import daemon as pure


def daemon(rng: Any, policy: str = "auto", offered: Sequence[str] = pure.DAEMONS) -> dict[str, str | None]:
    """The decision; its reason holds what machines said, which must never be templated (ansible-core 2.18 would)."""
    if isinstance(offered, str) or not isinstance(offered, Sequence):
        raise AnsibleFilterError("fleet.rng.daemon: offered is a list of names of daemons")
    try:
        decision: dict[str, str | None] = wrap_var(pure.decide(rng, policy, offered))
    except ValueError as error:
        raise AnsibleFilterError(f"fleet.rng.daemon: {error}") from error
    return decision


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"daemon": daemon}
