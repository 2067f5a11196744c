# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest of Proxmox VE says through its agent, and what its process has open.

The API has calls of its own for the agent's commands. Here they are turned into the agent's own words, so that the
guest's view is the same code for every hypervisor. Each command costs the start of a program, or a connection.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Callable, Dict, Optional, Tuple, Union

from ..errors import GuestError, RngError, TimedOutError
from ..observation import Devices, FoundDevice, ObservedGuest
from ..text import printable
from ..transport import process
from ..transport.agent import ANSWER_LIMIT, NO_AGENT, TIMED_OUT, AgentError
from ..transport.proxmox import Pvesh, RefusedError
from ..transport.proxmox_api import Api
from .guest_view import ERROR, GuestOptions, not_seen, view

Caller = Union[Pvesh, Api]

_MAX_COMMAND_LINE = 1024 * 1024
_AGENT_ERROR = "Agent error: "
_ABSENT = ("No QEMU guest agent configured", "QEMU guest agent is not running")
_TIMED_OUT = "got timeout"


class Agent:
    """Carries the agent's words over the API: one command in, one answer out."""

    def __init__(self, path: str, connect: Callable[[float], Caller]) -> None:
        self.path, self.connect = f"{path}/agent", connect
        self.files: Dict[int, bytes] = {}
        self.commands = {
            "guest-info": self._plain,
            "guest-get-osinfo": self._plain,
            "guest-file-open": self._open,
            "guest-file-read": self._read,
            "guest-file-close": self._close,
            "guest-exec": self._exec,
            "guest-exec-status": self._exec_status,
        }

    def __call__(self, text: str, seconds: float) -> str:
        command = json.loads(text)
        name, arguments = command["execute"], command.get("arguments", {})
        if name not in self.commands:
            words = f"the API of Proxmox VE has no {name}"
            return json.dumps({"error": {"class": "CommandNotFound", "desc": words}})
        try:
            return json.dumps({"return": self.commands[name](self.connect(seconds), name, arguments)})
        except TimedOutError as error:
            raise AgentError(TIMED_OUT, str(error)) from error
        except RefusedError as error:
            if error.said.startswith(_ABSENT):
                raise AgentError(NO_AGENT, error.said) from error
            if _TIMED_OUT in error.said:
                raise AgentError(TIMED_OUT, error.said) from error
            words = error.said.partition(_AGENT_ERROR)[2] or error.said
            return json.dumps({"error": {"class": "GenericError", "desc": words}})

    def _plain(self, api: Caller, name: str, dummy: Any) -> Any:
        return _object(api.get(f"{self.path}/{name[len('guest-') :]}")).get("result")

    def _open(self, api: Caller, dummy: str, arguments: Any) -> int:
        """The API reads a file in one call. What is found to be a directory is there, and nothing can be read of it."""
        try:
            answer = _object(api.get(f"{self.path}/file-read", file=arguments["path"]))
            content = _bytes(answer.get("content"))
        except RefusedError as error:
            if not error.said.endswith("Is a directory"):
                raise
            content = b""
        handle = len(self.files) + 1
        self.files[handle] = content[:ANSWER_LIMIT]
        return handle

    def _read(self, dummy_api: Caller, dummy_name: str, arguments: Any) -> Dict[str, Any]:
        chunk = self.files[arguments["handle"]][: arguments["count"]]
        return {"count": len(chunk), "buf-b64": base64.b64encode(chunk).decode("ascii"), "eof": True}

    def _close(self, dummy_api: Caller, dummy_name: str, arguments: Any) -> Dict[str, Any]:
        self.files[arguments["handle"]] = b""
        return {}

    def _exec(self, api: Caller, dummy: str, arguments: Any) -> Any:
        return api.create(f"{self.path}/exec", command=[arguments["path"], *arguments["arg"]])

    def _exec_status(self, api: Caller, dummy: str, arguments: Any) -> Dict[str, Any]:
        """With numbers for booleans, and the output as it is in place of base64."""
        answer = _object(api.get(f"{self.path}/exec-status", pid=str(arguments["pid"])))
        found = {name: bool(answer.get(name)) for name in ("exited", "out-truncated", "err-truncated")}
        code = answer.get("exitcode")
        data = {
            name: base64.b64encode(_bytes(answer.get(name))).decode("ascii")
            for name in ("out-data", "err-data")
            if answer.get(name)
        }
        return {**found, **({} if code is None else {"exitcode": code}), **data}


def _object(answer: Any) -> Dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _bytes(text: Any) -> bytes:
    """The API shows each byte of a guest as one character."""
    return str(text or "").encode("latin-1", "replace")


def guest_view(
    path: str, connect: Callable[[float], Caller], guest: ObservedGuest, options: GuestOptions
) -> Dict[str, Any]:
    """What the guest says; whatever goes wrong is in it.

    :param path: of the guest in the API.
    :param connect: the API, whose calls may take so many seconds.
    """
    try:
        return view(Agent(path, connect), guest.live, options)
    except RngError as error:
        return not_seen(ERROR, str(error))


# The host ------------------------------------------------------------------------------------------------------------

SEEN, NO_PROCESS, NOT_ALLOWED, OUT_OF_SIGHT = "seen", "no process", "not allowed", "out of sight"


def host_view(vmid: int, pid: int, live: Devices, monitor: bool) -> Dict[str, Any]:
    """Whether the guest's process has its source open. Whatever goes wrong is told in there."""
    status, why, files, shown = SEEN, None, process.OpenFiles(), None
    try:
        if not pid or not _is_guest(pid, vmid):
            raise process.NoProcessError(f"no process of guest {vmid} is to be seen on this node")
        shown = pid
        paths = [found.device.source.path for found in live if found.device is not None]
        files = process.open_files(pid, paths)
    except process.NoProcessError as error:
        status, why = NO_PROCESS, str(error)
    except process.NotAllowedError as error:
        status, why = NOT_ALLOWED, str(error)
    except GuestError as error:
        status, why = ERROR, str(error)
    return {
        "status": status,
        "why": why,
        "pid": shown,
        "open": [_opened(found, files if status == SEEN else None, why) for found in live],
        "qemu": None,
        "qemu_why": "QEMU's own monitor is not reached through the API of Proxmox VE" if monitor else None,
    }


def no_host_view(why: str, live: Devices, monitor: bool) -> Dict[str, Any]:
    """What is known of the guest's process where its machine cannot be looked at: nothing."""
    return {
        "status": OUT_OF_SIGHT,
        "why": why,
        "pid": None,
        "open": [_opened(found, None, why) for found in live],
        "qemu": None,
        "qemu_why": why if monitor else None,
    }


def _is_guest(pid: int, vmid: int) -> bool:
    """Whether the process is still that of the guest: its command line has the number."""
    try:
        with open(f"{process.PROC}/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read(_MAX_COMMAND_LINE).split("\0")
    except OSError:
        return False
    return ("-id", str(vmid)) in zip(words, words[1:])


def _opened(found: FoundDevice, files: Optional[process.OpenFiles], why: Optional[str]) -> Dict[str, Any]:
    path = None if found.device is None else found.device.source.path
    answer: Tuple[Optional[bool], Optional[str]] = (None, why or printable(found.unknown) or None)
    if path is not None and files is not None:
        number = process.device_number(path)
        if number is not None and number in [device.number for device in files.devices]:
            answer = (True, None)
        elif number is None:
            answer = (False, f"{path} is no character device")
        elif files.complete:
            answer = (False, f"QEMU does not have device {number[0]}:{number[1]} open")
        else:
            answer = (None, f"it has more than {process.MAX_DESCRIPTORS} descriptors")
    return {"source": path, "open": answer[0], "why": answer[1]}
