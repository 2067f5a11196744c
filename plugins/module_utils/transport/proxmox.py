# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of a Proxmox VE node through its own command, ``pvesh``, without a shell; bounded in time and output.

And the files in which the node publishes the configurations of its guests: they are only ever read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from typing import Any, Mapping, Optional, Sequence, Union

from ..errors import GuestError, HypervisorError
from ..text import printable
from .command import bounded_run

CONFIG_DIR = "/etc/pve/qemu-server"  # a link to the directory of this node, kept by pmxcfs
SECONDS = 60.0  # one call; a write waits up to ten seconds for the guest's own lock
MAX_OUTPUT = 64 * 1024 * 1024  # the list of a node has about 400 bytes for each guest
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Proxmox VE answers with text. What is looked for in it is as old as its API, and everything else is shown as it is.
_MODIFIED = ("checksum mismatch", "detected modified configuration")
_UNUSABLE = ("no quorum", "ipcc_send_rec", "Unable to load access control list", "please run as root")
_LOCKED = re.compile(r"VM is locked \(([^)]{1,40})\)")
_GONE = re.compile(r"Configuration file '[^']*' does not exist")
_FORBIDDEN = re.compile(r"^403 ", re.MULTILINE)
_USAGE = re.compile(r"^(pvesh |\s+pvesh )", re.MULTILINE)

RIGHTS = "needed are VM.Config.HWType on the guest, and for /dev/hwrng also Mapping.Use on /mapping/hwrng"


Parameter = Union[str, Sequence[str]]  # a list is given as the same option several times


class ModifiedError(GuestError):
    """Somebody changed the guest's configuration since it was read."""


class GoneError(GuestError):
    """The guest is not on this node, or no longer."""


class RefusedError(GuestError):
    """What the API refused for another reason; ``said`` is that alone."""

    def __init__(self, call: str, said: str) -> None:
        super().__init__(f"{call}: {said}")
        self.said = said


class Pvesh:
    """The command. It has no state, so threads may share it."""

    elsewhere = ""  # the machine that it runs on is the node
    node = "localhost"  # what the API takes for the node that answers

    def __init__(self, seconds: float = SECONDS, limit: int = MAX_OUTPUT) -> None:
        self.seconds, self.limit = seconds, limit

    def within(self, seconds: float, limit: int) -> Pvesh:
        """The same with other limits."""
        return Pvesh(seconds, limit)

    def get(self, path: str, **parameters: str) -> Any:
        """The answer of the API to a GET, parsed."""
        return self._answer("get", path, parameters)

    def create(self, path: str, **parameters: Parameter) -> Any:
        """The answer of the API to a POST, parsed."""
        return self._answer("create", path, parameters)

    def task(self, path: str, seconds: float, **parameters: str) -> None:
        """A POST that starts a task of so many seconds, and waits for its end.

        What it prints is the log of the task. Whether the task did what it should is for the caller to look at.
        """
        self._run("create", path, parameters, seconds + self.seconds)

    def _answer(self, verb: str, path: str, parameters: Mapping[str, Parameter]) -> Any:
        output = self._run(verb, path, parameters)
        try:
            return json.loads(output.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            shown = printable(output[:200].decode("utf-8", "replace"), 100)
            raise HypervisorError(f"pvesh {verb} {path}: the answer is no JSON: {shown}") from error

    def set(self, path: str, **parameters: str) -> None:
        """A PUT. What the command prints is a message to people, since the answer is null."""
        self._run("set", path, parameters)

    def _run(self, verb: str, path: str, parameters: Mapping[str, Parameter], seconds: Optional[float] = None) -> bytes:
        program = shutil.which("pvesh", path=os.environ.get("PATH") or _PATH) or shutil.which("pvesh", path=_PATH)
        if program is None:
            raise HypervisorError("there is no pvesh here, so this is no Proxmox VE node")
        arguments = [program, verb, path]
        for name, value in parameters.items():
            for one in [value] if isinstance(value, str) else value:
                arguments += [f"--{name}", one]
        arguments += ["--output-format", "json"]
        code, output, errors = bounded_run(arguments, seconds or self.seconds, self.limit)
        if code != 0:
            said = _USAGE.split(errors, 1)[0].strip()
            raise refusal(f"pvesh {verb} {path}", said, f"exit code {code}", RIGHTS)
        return output


def refusal(call: str, said: str, otherwise: str, rights: str) -> Exception:
    """The error that these words of the API mean. Exit codes and HTTP's 500 tell only that something failed.

    :param otherwise: what is shown where it said nothing.
    :param rights: what a caller needs who was forbidden something.
    """
    shown = printable("; ".join(said.splitlines()), 400) or otherwise
    if any(words in said for words in _UNUSABLE):
        return HypervisorError(f"{call}: {shown}")
    if any(words in said for words in _MODIFIED):
        return ModifiedError("somebody else changed its configuration meanwhile")
    locked = _LOCKED.search(said)
    if locked is not None:
        return GuestError(f"it is locked ({printable(locked.group(1), 40)})")
    if _GONE.search(said):
        return GoneError("the guest is no longer on this node")
    if _FORBIDDEN.search(said):
        return GuestError(f"{shown}; {rights}")
    return RefusedError(call, shown)


def read_config(directory: str, vmid: int, limit: int) -> Optional[bytes]:
    """The file of a guest; None where it cannot be read, so that the API has to be asked."""
    descriptor = -1
    try:
        descriptor = os.open(os.path.join(directory, f"{vmid}.conf"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        found = b""
        while len(found) <= limit:
            chunk = os.read(descriptor, limit + 1 - len(found))
            if not chunk:
                return found
            found += chunk
    except OSError:
        pass
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return None
