# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that the broker of this host has: one for each class of guests, in a directory of its own."""

from __future__ import annotations

import os
import re
import stat
from typing import List, Tuple

DIRECTORY = "/run/virtrngd"  # as in broker/config.py, which modules for hypervisors need not carry along
LIMIT = 256  # each is tried

_SOCKET = re.compile(r"(?!control\.sock$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\.sock")


def broker_sockets(directory: str = DIRECTORY) -> Tuple[List[str], str]:
    """Their paths, sorted; and why there are none, where that is so."""
    try:
        names = sorted(name for name in os.listdir(directory) if _SOCKET.fullmatch(name))
    except OSError as error:
        return [], f"no broker is there: {directory}: {os.strerror(error.errno or 0)}"
    found = [path for path in (f"{directory}/{name}" for name in names) if _is_socket(path)]
    return found[:LIMIT], "" if found else f"no broker is there: {directory} has no sockets"


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False
