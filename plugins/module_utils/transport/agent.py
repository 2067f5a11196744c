# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU guest agent's protocol, over anything that carries one JSON text there and one back.

The agent is a program of the guest: its answers may be missing, late, huge or anything else. Here their length, form
and time are checked; what they say is for the caller to doubt.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence

from ..errors import GuestError
from ..text import printable

NO_AGENT = "no agent"
TIMED_OUT = "timed out"
DISABLED = "disabled"  # the guest's administrator does not allow the command, or its agent is older than the command
REFUSED = "refused"  # the agent tried, and says why it did not work
GARBAGE = "garbage"

ANSWER_LIMIT = 1024 * 1024  # characters; a sample or a probe's output of 256 KiB has a third more in base64
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at whether a program has ended

Call = Callable[[str, float], str]  # a command and the seconds it may take -> the answer


class AgentError(GuestError):
    """What kept the agent from answering well. ``kind`` is one of the words above."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Deadline:
    """A moment after which nothing more is asked.

    :param clock: seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """The seconds that are left, more than none.

        :raises AgentError: when the time is up.
        """
        left = self._end - self._clock()
        if left <= 0:
            raise AgentError(TIMED_OUT, f"its agent did not finish within {self.seconds:g} seconds")
        return left


@dataclass(frozen=True)
class Finished:
    """A program that ended in the guest. ``code`` is None when a signal ended it."""

    code: Optional[int]
    out: bytes
    err: bytes
    cut: bool = False


class Agent:
    """One guest's agent. Not shared between threads."""

    def __init__(self, call: Call, deadline: Deadline, sleep: Callable[[float], None] = time.sleep) -> None:
        self._call = call
        self.deadline = deadline
        self._sleep = sleep
        self._allowed: Dict[str, bool] = {}

    def greet(self) -> None:
        """Ask which commands there are. An agent that does not tell is asked for each of them when it is needed."""
        try:
            found = _dict(self._ask("guest-info"), "guest-info").get("supported_commands")
        except AgentError as error:
            if error.kind not in (DISABLED, REFUSED):
                raise
            return
        if isinstance(found, list):
            for item in found[:1000]:
                if isinstance(item, dict) and isinstance(item.get("name"), str):
                    self._allowed[item["name"]] = item.get("enabled") is True

    def allows(self, *commands: str) -> bool:
        """Whether nothing is known that speaks against these commands."""
        return all(self._allowed.get(command, not self._allowed) for command in commands)

    def os_info(self) -> Dict[str, str]:
        """What the guest says of its system: those of the agent's fields that are text, by their names there."""
        answer = _dict(self._ask("guest-get-osinfo"), "guest-get-osinfo")
        return {name: value for name, value in answer.items() if isinstance(value, str)}

    def pci_drivers(self) -> List[Dict[str, Any]]:
        """Of each PCI device that has a driver: ``vendor`` and ``device`` numbers; only Windows tells."""
        answer = self._ask("guest-get-devices")
        if not isinstance(answer, list):
            raise _garbage("guest-get-devices", "no list")
        found = []
        for item in answer[:1000]:
            number = item.get("id") if isinstance(item, dict) else None
            if isinstance(number, dict):
                found.append({"vendor": number.get("vendor-id"), "device": number.get("device-id")})
        return found

    def read(self, path: str, limit: int) -> bytes:
        """The beginning of a file of the guest, ``limit`` bytes at most."""
        handle = self._open(path)
        try:
            content = b""
            while len(content) < limit:
                part = _dict(self._ask("guest-file-read", handle=handle, count=limit - len(content)), "guest-file-read")
                chunk = _bytes(part.get("buf-b64", ""), "guest-file-read")
                content += chunk
                if part.get("eof") is True or not chunk:
                    break
            return content[:limit]
        finally:
            self._close(handle)

    def holds(self, path: str) -> bool:
        """Whether the guest has this file or directory; raises where the agent may not look."""
        try:
            handle = self._open(path)
        except AgentError as error:
            if is_missing(error):
                return False
            raise
        self._close(handle)
        return True

    def run(self, script: str, arguments: Sequence[str] = ()) -> Finished:
        """Run a shell script in the guest until it ends; it has to end by itself when nobody waits any more."""
        command = {"path": "/bin/sh", "arg": ["-c", script, *arguments], "capture-output": True}
        pid = _dict(self._ask("guest-exec", **command), "guest-exec").get("pid")
        if not _is_number(pid):
            raise _garbage("guest-exec", "no process id")
        pause = _FIRST_PAUSE
        while True:
            status = _dict(self._ask("guest-exec-status", pid=pid), "guest-exec-status")
            if status.get("exited") is True:
                break
            self._sleep(min(pause, self.deadline.left()))
            pause = min(2 * pause, _LONGEST_PAUSE)
        code = status.get("exitcode")
        return Finished(
            code=code if _is_number(code) else None,
            out=_bytes(status.get("out-data", ""), "guest-exec-status"),
            err=_bytes(status.get("err-data", ""), "guest-exec-status"),
            cut=status.get("out-truncated") is True,
        )

    def _open(self, path: str) -> int:
        """A handle, also when it comes too late: only who has it can close it."""
        handle = self._ask("guest-file-open", path=path, mode="r")
        if not _is_number(handle):
            raise _garbage("guest-file-open", "no handle")
        return int(handle)

    def _close(self, handle: int) -> None:
        """Also when the time is up or something went wrong before: the agent keeps every handle until it ends."""
        try:
            self._call(_command("guest-file-close", {"handle": handle}), 1.0)
        except GuestError:
            pass  # what went wrong before is what matters, and a file that was read is read

    def _ask(self, name: str, **arguments: Any) -> Any:
        if not self.allows(name):
            raise AgentError(DISABLED, f"the guest's agent does not offer {name}")
        return _returned(name, self._call(_command(name, arguments), self.deadline.left()))


def is_missing(error: AgentError) -> bool:
    """Whether a file is surely not there. The agent tells in words only; where they are translated, it is unsure."""
    return error.kind == REFUSED and str(error).endswith("No such file or directory")


def _command(name: str, arguments: Dict[str, Any]) -> str:
    return json.dumps({"execute": name, "arguments": arguments} if arguments else {"execute": name})


def _returned(name: str, text: str) -> Any:
    if len(text) > ANSWER_LIMIT:
        raise _garbage(name, f"{len(text)} characters, more than {ANSWER_LIMIT}")
    try:
        answer = json.loads(text, parse_int=_parse_number)
    except (ValueError, RecursionError) as error:
        raise _garbage(name, "no JSON") from error
    answer = _dict(answer, name)
    refusal = answer.get("error")
    if refusal is not None:
        given = refusal if isinstance(refusal, dict) else {}
        kind = DISABLED if given.get("class") in ("CommandNotFound", "CommandDisabled") else REFUSED
        raise AgentError(kind, printable(str(given.get("desc", "no reason given")), 300))
    if "return" not in answer:
        raise _garbage(name, "neither a result nor an error")
    return answer["return"]


def _parse_number(digits: str) -> int:
    """Python before 3.11 would work for seconds on a number with a million digits."""
    if len(digits) > 20:
        raise ValueError(digits[:20])
    return int(digits)


def _garbage(name: str, what: str) -> AgentError:
    return AgentError(GARBAGE, f"the agent's answer to {name} cannot be used: {what}")


def _dict(value: Any, name: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise _garbage(name, "no object")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _bytes(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise _garbage(name, "no text where base64 is due")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _garbage(name, "no base64") from error
