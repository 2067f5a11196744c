# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entropy broker in a line, for the tables that a run prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import LONG_WAIT, RUNNING
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import counted


def broker_line(rng: Any) -> str:
    """What is said of the broker of a machine with this ``rng``; empty where there is none, or nobody looked."""
    broker = rng.get("broker") if isinstance(rng, Mapping) else None
    if not isinstance(broker, Mapping):
        return ""
    if broker["status"] != RUNNING:
        return printable(f"{broker['status']}: {broker['why']}", 300)
    inner = {one["parent"] for one in broker["classes"]}
    leaves = sum(one["name"] not in inner for one in broker["classes"])
    serving = f"{printable(broker['serving'], 60)} serving" if broker["serving"] else "no source serving"
    waiting = broker["waiting_long"]
    late = f"; {waiting} {'waits' if waiting == 1 else 'wait'} longer than {LONG_WAIT:g} s" if waiting else ""
    where = f"in {leaves} {'class' if leaves == 1 else 'classes'}"
    return f"{counted(broker['guests_total'], 'guest')} {where}, {serving}{late}"
