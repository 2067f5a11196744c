# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host knows of a guest's RNGs: whether QEMU has their sources open, and what QEMU itself says of them."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..codec.qom import QemuRng, ask_for_rngs
from ..device import Source
from ..errors import GuestError
from ..observation import FoundDevice, ObservedGuest
from ..text import printable
from ..transport import process

MONITOR_SECONDS = 10.0  # that all questions to one QEMU may take; it answers each in milliseconds

SEEN, NO_PROCESS, NOT_ALLOWED, NOT_RUNNING, ERROR = "seen", "no process", "not allowed", "not running", "error"

Answer = Tuple[Optional[bool], Optional[str]]
Ask = Callable[[str, float], str]  # a command for QEMU's monitor and the seconds it may take -> the answer


def look(guest: ObservedGuest, find: Callable[[], int], ask: Optional[Ask]) -> Dict[str, Any]:
    """The ``host_view`` of one guest, as on the wire. Whatever goes wrong with it is told in there.

    :param find: gives the pid of the guest's QEMU, or raises a GuestError that says why there is none.
    :param ask: the way to QEMU's monitor, where QEMU itself is to be asked too.
    """
    if guest.error:
        return not_seen(ERROR, guest.error)
    if not guest.running or guest.live is None:
        return not_seen(NOT_RUNNING, "it is shut off")
    rngs, rngs_why = (None, None) if ask is None else _ask_qemu(ask)
    status, files = SEEN, process.OpenFiles()
    why: Optional[str] = None
    pid: Optional[int] = None
    try:
        pid = find()
        sources = [found.device.source for found in guest.live if found.device]
        files = process.open_files(pid, [source.path for source in sources if source.kind == "random"])
    except process.NoProcessError as error:
        status, why, pid = NO_PROCESS, str(error), None
    except process.NotAllowedError as error:
        status, why = NOT_ALLOWED, str(error)
    except GuestError as error:
        status, why, pid = ERROR, str(error), None
    seen = _Looker(pid, files, rngs or ()) if status == SEEN and pid else None
    opened = [_opened(found, seen, why) for found in guest.live]
    return _view(status, why, pid, opened, rngs, rngs_why)


def not_seen(status: str, why: str) -> Dict[str, Any]:
    """The view of a guest that nobody could look at."""
    return _view(status, why, None, [], None, None)


def _view(
    status: str,
    why: Optional[str],
    pid: Optional[int],
    opened: List[Dict[str, Any]],
    rngs: Optional[Tuple[QemuRng, ...]],
    rngs_why: Optional[str],
) -> Dict[str, Any]:
    return {
        "status": status,
        "why": why,
        "pid": pid,
        "open": opened,
        "qemu": None if rngs is None else [rng.to_wire() for rng in rngs],
        "qemu_why": rngs_why,
    }


def _ask_qemu(ask: Ask) -> Tuple[Optional[Tuple[QemuRng, ...]], Optional[str]]:
    end = time.monotonic() + MONITOR_SECONDS
    conversation = ask_for_rngs()
    try:
        command = next(conversation)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise GuestError(f"QEMU did not answer everything within {MONITOR_SECONDS:g} seconds")
            command = conversation.send(ask(command, left))
    except StopIteration as told:
        return told.value, None
    except GuestError as error:
        return None, printable(str(error), 300)


def _opened(found: FoundDevice, seen: Optional[_Looker], why: Optional[str]) -> Dict[str, Any]:
    source = None if found.device is None else found.device.source
    answer: Answer = (None, why)
    if source is None:
        answer = (None, found.unknown)
    elif source.kind == "builtin":
        answer = (None, "QEMU asks the kernel (getrandom): there is nothing to open")
    elif seen:
        answer = seen.device(source) if source.kind == "random" else seen.egd(source, found.alias)
    return {"source": None if source is None else str(source), "open": answer[0], "why": answer[1]}


class _Looker:
    """One process, and which of its descriptors have been counted for a device already."""

    def __init__(self, pid: int, files: process.OpenFiles, rngs: Tuple[QemuRng, ...]) -> None:
        self.pid = pid
        self.files = files
        self.rngs = {rng.id: rng for rng in rngs}
        self.left = Counter(device.number for device in files.devices)
        self.paths = {device.path: device.number for device in files.devices}

    def device(self, source: Source) -> Answer:
        """By device number, so that links and other names of the same device are right."""
        # In a mount namespace of its own, as libvirt gives it, QEMU's /dev is another one.
        there = (process.device_number(path) for path in (f"{process.PROC}/{self.pid}/root{source.path}", source.path))
        numbers = [number for number in there if number]
        for number in numbers:
            if self.left[number]:
                self.left[number] -= 1
                return True, None
        held = self.paths.get(source.path)
        if held and not numbers:
            return True, f"{source.path} is no longer there, QEMU still has it open"
        if held and held not in numbers:
            return False, f"{_words(held)} was {source.path} when QEMU opened it, now that is {_words(numbers[0])}"
        if not self.files.complete:
            return None, f"it has more than {process.MAX_DESCRIPTORS} descriptors"
        if not numbers:
            return False, f"{source.path} is no character device, and QEMU has none of this name open"
        more = " once more" if numbers[0] in self.left else ""
        return False, f"QEMU does not have {_words(numbers[0])} open{more}"

    def egd(self, source: Source, alias: str) -> Answer:
        """By its sockets, else by what QEMU says: that notices a server that went away only at its next request."""
        told = self.rngs[alias].connected if alias in self.rngs else None
        connected = None
        if source.transport == "udp":
            return None, "datagrams have no connection"
        if source.transport == "unix":
            connected = process.connected_unix(self.pid, self.files.sockets, source.path)
        elif source.transport == "tcp":
            connected = process.connected_tcp(self.pid, self.files.sockets, source.host, source.port)
        if connected is None or not (connected or self.files.complete):
            connected = told
        if connected is None:
            return None, "only QEMU's monitor can tell"
        if connected:
            return True, None
        return False, "the connection is gone, and QEMU has not noticed" if told else "QEMU is not connected to it"


def _words(number: process.Number) -> str:
    return f"device {number[0]}:{number[1]}"
