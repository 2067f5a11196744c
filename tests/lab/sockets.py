# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question to a QEMU, or to its guest's agent, over their sockets. On hosts of plain QEMU it is also a program:

    qemu-ask /run/qemu/web1.qmp query-status
    qemu-ask /run/qemu/web1.qga guest-file-open '{"path": "/proc/uptime"}'

It prints what was returned, as JSON. Each socket serves one client at a time, so no connection is kept.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any, BinaryIO


class SocketError(Exception):
    """There was no answer, or the answer was an error."""


def ask(path: str, command: str, arguments: dict[str, Any] | None = None, timeout: float = 120) -> Any:
    """What a command returned. A socket whose name ends with ``.qga`` is an agent's."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout)  # for each read
            client.connect(path)
            with client.makefile("rwb") as stream:
                _greet(stream, path.endswith(".qga"))
                answer = _say(stream, command, arguments or {})
    except (OSError, ValueError) as error:
        raise SocketError(f"{path}: {command}: {error}") from error
    if not isinstance(answer, dict) or "return" not in answer:
        raise SocketError(f"{path}: {command}: {json.dumps(answer)[:500]}")
    return answer["return"]


def _greet(stream: BinaryIO, agent: bool) -> None:
    if not agent:
        _line(stream)
        _say(stream, "qmp_capabilities", {})
        return
    # What the agent still had to say to the client before us is not for us.
    mark = int.from_bytes(os.urandom(4), "big")
    answer = _say(stream, "guest-sync", {"id": mark})
    while answer.get("return") != mark:
        answer = _line(stream)


def _say(stream: BinaryIO, command: str, arguments: dict[str, Any]) -> Any:
    stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    stream.flush()
    while "event" in (answer := _line(stream)):
        pass
    return answer


def _line(stream: BinaryIO) -> Any:
    line = stream.readline()
    if not line:
        raise ConnectionError("the connection was closed")
    return json.loads(line)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: qemu-ask SOCKET COMMAND [ARGUMENTS AS JSON]")
    try:
        print(json.dumps(ask(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) == 4 else None)))
    except SocketError as trouble:
        sys.exit(f"qemu-ask: {trouble}")
