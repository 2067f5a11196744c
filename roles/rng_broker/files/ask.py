# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a broker at each of its sockets how much it has, until all have answered or time is over.

The arguments are seconds and addresses. Prints those that did not answer, and why.
"""

from __future__ import annotations

import socket
import sys
import time

AVAILABLE = b"\0"  # the answer is a number of four bytes
PAUSE = 0.3
ATTEMPT = 5.0  # seconds for one of them


def ask(address: str) -> None:
    """Raises OSError for one that does not answer."""
    host, dummy, port = address[len("tcp://") :].rpartition(":")
    inet = address.startswith("tcp:")
    with socket.socket((socket.AF_INET6 if ":" in host else socket.AF_INET) if inet else socket.AF_UNIX) as client:
        client.settimeout(ATTEMPT)
        client.connect((host.strip("[]"), int(port)) if inet else address)
        client.sendall(AVAILABLE)
        if not client.recv(4):
            raise OSError("it closes the connection")


def main(seconds: float, addresses: list[str]) -> int:
    until = time.monotonic() + seconds
    while True:
        silent: dict[str, str] = {}
        for address in addresses:
            try:
                ask(address)
            except OSError as error:
                silent[address] = str(error.strerror or error)
        if not silent or time.monotonic() > until:
            break
        time.sleep(PAUSE)
    for address, why in silent.items():
        print(f"{address}: {why}")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
