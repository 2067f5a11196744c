# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that every ``*_rng`` module shares, and their way into values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..device import DEFAULT_MAX_BYTES, DEFAULT_PERIOD, DEFAULT_SOURCE, MODELS, RngDevice
from ..errors import InvalidValueError, RngError

# max_bytes and period are raw: a number, a string of digits or "unlimited", and never a silently converted 1.5 or true.
DEVICES = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "guest": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "source": {"type": "raw", "default": DEFAULT_SOURCE},
        "max_bytes": {"type": "raw", "default": DEFAULT_MAX_BYTES},
        "period": {"type": "raw", "default": DEFAULT_PERIOD},
        "model": {"type": "str", "choices": list(MODELS), "default": MODELS[0]},
        "driver": {"type": "dict", "default": {}},
        "restart": {"type": "bool", "default": False},
    },
}

MAX_WAIT = 600
MAX_RESTART_SERIAL = 100
MAX_RESTART_TIMEOUT = 3600

CONVERGE_SPEC: Dict[str, Any] = {
    "devices": DEVICES,
    "live": {"type": "bool", "default": True},
    "exclusive": {"type": "bool", "default": True},
    "wait": {"type": "int", "default": 5},
    "restart_serial": {"type": "int", "default": 1},
    "restart_timeout": {"type": "int", "default": 300},
    "restart_force": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Request:
    """What one entry of ``devices`` asks for: ``device`` None is state absent; ``error`` says why it is refused."""

    guest: str
    device: Optional[RngDevice] = None
    error: str = ""
    restart: bool = False


@dataclass(frozen=True)
class Restarts:
    """How guests are restarted: how many at once, the seconds that each has to shut down, and whether force follows."""

    serial: int = 1
    seconds: int = 300
    force: bool = False


def parse_wait(seconds: int) -> int:
    """The time that a running guest has to release a device, in seconds, within bounds."""
    if not 0 <= seconds <= MAX_WAIT:
        raise InvalidValueError("wait", seconds, f"seconds, an integer from 0 to {MAX_WAIT}")
    return seconds


def parse_restarts(options: Mapping[str, Any]) -> Restarts:
    """The options about restarts, within bounds."""
    for name, most, unit in (
        ("restart_serial", MAX_RESTART_SERIAL, "guests"),
        ("restart_timeout", MAX_RESTART_TIMEOUT, "seconds"),
    ):
        if not 1 <= options[name] <= most:
            raise InvalidValueError(name, options[name], f"{unit}, an integer from 1 to {most}")
    return Restarts(options["restart_serial"], options["restart_timeout"], options["restart_force"])


def parse_requests(devices: Sequence[Mapping[str, Any]], max_bytes_limit: int) -> List[Request]:
    """One request per guest, in the order given. A bad entry is an error of its own guest, not of the task."""
    requests: Dict[str, Request] = {}
    for entry in devices:
        request = _parse_request(entry, max_bytes_limit)
        earlier = requests.setdefault(request.guest, request)
        if earlier != request:
            requests[request.guest] = Request(request.guest, error="is given twice in devices, with different values")
    return list(requests.values())


def _parse_request(entry: Mapping[str, Any], max_bytes_limit: int) -> Request:
    guest, restart = entry["guest"], bool(entry.get("restart"))
    if entry["state"] == "absent":
        return Request(guest, restart=restart)
    try:
        return Request(guest, RngDevice.from_wire(entry, max_bytes_limit), restart=restart)
    except RngError as error:
        return Request(guest, error=str(error))
