# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that a hypervisor's future guests would get, by the names that operators know: their groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Layer, Sockets, resolve

DEFAULT = "default"

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def named_devices(
    hypervisor: Layer,
    groups: Mapping[str, Iterable[Layer]],
    max_bytes_limit: int,
    sockets: Sockets | None = None,
) -> list[dict[str, Any]]:
    """``{name, device}`` for the hypervisor's own policy, and for each group whose guests all share one device.

    A group whose guests differ, want no device or have bad values has no device to name; nor has one whose name is
    no file name. Overrides and budgets concern guests that exist, so they do not count.

    :param groups: the variables of the inventory guests of each group.
    :param sockets: of the broker, as in resolve().
    """
    members: dict[str, Iterable[Layer | None]] = {name: groups[name] for name in sorted(groups) if name != DEFAULT}
    shared = {
        name: _shared(hypervisor, own, max_bytes_limit, sockets) for name, own in {DEFAULT: [None], **members}.items()
    }
    return [
        {"name": name, "device": device.to_wire()}
        for name, device in shared.items()
        if device is not None and _FILE_NAME.fullmatch(name)
    ]


def _shared(
    hypervisor: Layer, members: Iterable[Layer | None], max_bytes_limit: int, sockets: Sockets | None
) -> RngDevice | None:
    try:
        devices = {
            resolve("", hypervisor, own=own, max_bytes_limit=max_bytes_limit, sockets=sockets).device for own in members
        }
    except RngError:
        return None
    return devices.pop() if len(devices) == 1 else None
