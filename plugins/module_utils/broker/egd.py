# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the EGD protocol, as clients send them, one after the other and in pieces.

======= ============================== ==========================================================
Command Bytes                          Answer
======= ============================== ==========================================================
COUNT   ``00``                         bits that could be had at once, 32 bits, big endian
TAKE    ``01 n``                       a byte that says how many follow, and so many, 0 to n, at once
WAIT    ``02 n``                       n bytes, when they are there; the only command of QEMU
ADD     ``03 bits(2) n`` and n bytes   none
PID     ``04``                         a byte that says how many follow, and the daemon's id in digits
======= ============================== ==========================================================

As in the daemon that the protocol comes from (EGD 0.9, section "Interface" of its documentation).
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..errors import RngError

COUNT, TAKE, WAIT, ADD, PID = range(5)

_LENGTHS = {COUNT: 1, TAKE: 2, WAIT: 2, ADD: 4, PID: 1}  # up to the last byte that says how long it is

LONGEST = 4 + 255  # of a command: ADD with all that it may bring


class ProtocolError(RngError):
    """What a client sent is no command; where the next one begins cannot be known any more."""


class Command(NamedTuple):
    """The command at the head of what a client sent."""

    kind: int
    length: int  # bytes of the command itself
    size: int  # bytes of randomness that it asks for


def parse(data: bytes) -> Optional[Command]:
    """The first command, or None while it has not arrived as a whole. Raises ProtocolError."""
    if not data:
        return None
    kind = data[0]
    length = _LENGTHS.get(kind)
    if length is None:
        raise ProtocolError(f"no command begins with byte {kind:02x}; known are 00 to 04")
    if kind == ADD and len(data) >= length:
        length += data[3]
    if len(data) < length:
        return None
    return Command(kind, length, data[1] if kind in (TAKE, WAIT) else 0)
