# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections each process has: one must not take the places of all.

A QEMU that its guest took over connects as often as it is let. It needs a connection for each RNG device, of which
there are few, so a small number is enough for every one that behaves.

Counted is over all classes, so that a class whose socket becomes another's changes nothing. It costs something when a
connection comes and goes, and a request nothing.
"""

from __future__ import annotations

from typing import Dict, Optional


def holder_of(pid: Optional[int], uid: Optional[int]) -> Optional[int]:
    """Whose a connection is: that of a process, or where its pid cannot be seen, of all such processes of its user.

    None over TCP, which tells neither. A process in a PID namespace that is not below ours has the pid 0.
    """
    if pid is None or uid is None:
        return None
    return pid if pid > 0 else -1 - uid


def shown(holder: Optional[int]) -> str:
    """For people: ``pid 4711``, or ``user 107``."""
    if holder is None:
        return "unknown"
    return f"pid {holder}" if holder > 0 else f"user {-1 - holder}"


class Places:
    """Counts of connections, by their holders; those without one are not counted."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Dict[int, int] = {}

    def held(self, holder: Optional[int]) -> int:
        """How many connections it has."""
        return 0 if holder is None else self._held.get(holder, 0)

    def take(self, holder: Optional[int]) -> None:
        """It has one more."""
        if holder is not None:
            self._held[holder] = self._held.get(holder, 0) + 1

    def leave(self, holder: Optional[int]) -> None:
        """It has one less; whoever has none is forgotten."""
        if holder is None:
            return
        left = self._held.get(holder, 0) - 1
        if left > 0:
            self._held[holder] = left
        else:
            self._held.pop(holder, None)

    def __len__(self) -> int:
        """How many there are that have connections."""
        return len(self._held)
