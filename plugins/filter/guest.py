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

WISHES = {"driver", "initramfs", "current", "arguments"}


def guest(rng: Any, look: str, wishes: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The plan; it names what the guest said, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(rng, Mapping):
        raise AnsibleFilterError("fleet.rng.guest takes the rng that fleet.rng.rng_info returned")
    if not isinstance(wishes, Mapping) or set(wishes) != WISHES:
        raise AnsibleFilterError(f"fleet.rng.guest: wishes has the keys {', '.join(sorted(WISHES))}")
    wrong = pure.mistakes(wishes)
    if wrong:
        raise AnsibleFilterError(f"fleet.rng.guest: {'; '.join(wrong)}")
    planned: dict[str, Any] = wrap_var(pure.plan(rng, str(look), wishes, table))
    return planned


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"guest": guest}
