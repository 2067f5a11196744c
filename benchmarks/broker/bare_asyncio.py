# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that serves EGD's command 02 with asyncio: bare_asyncio.py SOCKET. The broker is compared with it."""

from __future__ import annotations

import asyncio
import os
import resource
import sys

READ = 2  # the command: a byte that says how many bytes follows


class Bare(asyncio.Protocol):
    """Answers each request as it comes; limits, tests and counts nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where the answers go, and half a command."""
        self.write = transport.write
        self.close = transport.close
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if self.rest:
            data = self.rest + data
        for place in range(0, len(data) - 1, 2):
            if data[place] != READ:
                self.close()
                return
            self.write(os.urandom(data[place + 1]))
        self.rest = data[-1:] if len(data) % 2 else b""


async def main(path: str) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_unix_server(Bare, path, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(sys.argv[1]))
