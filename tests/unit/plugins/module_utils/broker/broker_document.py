# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small status document, for tests of those who show one."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.status import (
    ClassState,
    ClientState,
    DaemonState,
    document,
)

SOURCE = {"source": "getrandom", "state": "serving", "why": None, "bytes": 64, "failures": 0}


def made(seconds: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A broker that gives web1 64 bytes per second, some seconds after its start."""
    given = int(64 * seconds)
    classes = [ClassState("gold", None, 1024, 2048, 512, 0, 1, 0, given, int(seconds))]
    clients = [ClientState("web1", "gold", 7, 64055, given, int(seconds), 0, None)]
    daemon = DaemonState("0.1.0", 4711, 1795262400.0, 1, 8192)
    return {**document(daemon, [SOURCE], classes, clients, 1795262400.0 + seconds, 0.0), **changes}
