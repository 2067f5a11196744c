# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections each process has: one must not take the places of all.

A QEMU that its guest took over connects as often as it is let. It needs a connection for each RNG device, of which
there are few, so a small number is enough for every one that behaves.

Counted is over all classes, so that a class whose socket becomes another's changes nothing. It costs something when a
connection comes and goes, and a request nothing.

TCP tells no pid (None), and a process in a PID namespace that is not below ours has the pid 0. Those are not counted:
all guests of a host may look alike to a broker in a container, and none of them must be kept out for that.
"""

from __future__ import annotations

from typing import Dict, Optional


class Places:
    """Counts of connections, by pid."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Dict[int, int] = {}

    def held(self, pid: Optional[int]) -> int:
        """How many connections it has."""
        return self._held.get(pid, 0) if pid else 0

    def take(self, pid: Optional[int]) -> None:
        """It has one more."""
        if pid:
            self._held[pid] = self.held(pid) + 1

    def leave(self, pid: Optional[int]) -> None:
        """It has one less; whoever has none is forgotten."""
        if not pid:
            return
        left = self.held(pid) - 1
        if left > 0:
            self._held[pid] = left
        else:
            self._held.pop(pid, None)

    def __len__(self) -> int:
        """How many there are that have connections."""
        return len(self._held)
