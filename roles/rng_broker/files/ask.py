# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a broker at each of its sockets (arguments) how much it has, as QEMU's protocol allows; name those that do not answer."""

from __future__ import annotations

import socket
import sys
from typing import List

SECONDS = 5.0
AVAILABLE = b"\0"  # the answer is a number of four bytes


def ask(address: str) -> None:
    """Raises OSError, or ValueError for an answer that is none."""
    host, dummy, port = address[len("tcp://") :].rpartition(":")
    inet = address.startswith("tcp:")
    with socket.socket((socket.AF_INET6 if ":" in host else socket.AF_INET) if inet else socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        client.connect((host.strip("[]"), int(port)) if inet else address)
        client.sendall(AVAILABLE)
        if len(client.recv(4)) != 4:
            raise ValueError("it closed the connection")


def main(addresses: List[str]) -> int:
    silent = 0
    for address in addresses:
        try:
            ask(address)
        except (OSError, ValueError) as error:
            print(f"{address}: {error}")
            silent += 1
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
