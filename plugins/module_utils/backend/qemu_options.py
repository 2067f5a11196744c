# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the plain QEMU guests of a host are to be found: the options, and their way into values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple

QEMU_SPEC: Dict[str, Any] = {
    "processes": {"type": "bool", "default": True},
    "sockets": {"type": "list", "elements": "str", "default": []},
}


@dataclass(frozen=True)
class Options:
    """Patterns of sockets, and whether to look for processes."""

    sockets: Tuple[str, ...] = ()
    processes: bool = True


def parse_options(options: Mapping[str, Any]) -> Options:
    """The options of the module."""
    return Options(sockets=tuple(options["sockets"]), processes=options["processes"])
