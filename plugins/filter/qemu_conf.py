# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/qemu_conf."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.fleet.rng.plugins.plugin_utils import qemu_conf as pure


def qemu_conf(text: str, devices: Sequence[str]) -> str:
    """The edited file, which must never be templated (ansible-core 2.18 would)."""
    if not isinstance(text, str):
        raise AnsibleFilterError("fleet.rng.qemu_conf takes the text of a qemu.conf")
    names = [devices] if isinstance(devices, str) else list(devices)
    if not all(isinstance(name, str) and re.fullmatch("/dev/[A-Za-z0-9_.-]+", name) for name in names):
        raise AnsibleFilterError("fleet.rng.qemu_conf: devices are paths directly below /dev")
    try:
        edited: str = wrap_var(pure.with_devices(text, names))
    except ValueError as error:
        raise AnsibleFilterError(f"fleet.rng.qemu_conf: the file is left alone: {error}") from error
    return edited


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"qemu_conf": qemu_conf}
