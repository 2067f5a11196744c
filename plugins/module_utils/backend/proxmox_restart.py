# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restart of one guest of Proxmox VE, which must not leave it off.

A request whose answer was lost may have been taken up all the same. Its task holds the lock of the guest until it ends,
so a second one is refused while the guest still runs, and soon afterwards it is off. Only its status tells.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Tuple, Union

from ..codec.proxmox import Listed
from ..errors import GuestDownError, GuestError, LeftRunningError, TimedOutError
from ..transport.proxmox import Pvesh, RefusedError
from ..transport.proxmox_api import Api

_POLL_SECONDS = 2.0  # between two looks at a guest
_LATER = 60.0  # so long after its time a task may end that was begun late, or pulls a plug
_HELD = "can't lock file"  # another task has to do with the guest

Look = Callable[[], Tuple[Listed, Mapping[str, Any]]]


def restart(api: Union[Pvesh, Api], path: str, look: Look, seconds: float, force: bool) -> None:
    """Shut a guest down and start it; one that is off is started.

    :param path: that of its status, below which are the requests.
    :param look: how it is now.
    :param seconds: how long it has to shut down. After that ``force`` pulls its plug.
    :raises LeftRunningError: when nothing was tried.
    :raises GuestDownError: when it does not start again.
    """
    listed, status = look()
    if _is_managed(status):
        raise LeftRunningError("it is managed by HA, which has to restart it")
    if listed.running:
        if status.get("qmpstatus") == "paused":
            raise LeftRunningError("it is paused")
        stop = {"timeout": str(int(seconds)), "forceStop": "1" if force else "0"}
        running, why = _try(api, f"{path}/shutdown", look, seconds, False, stop)
        if running:
            raise GuestError(
                f"it was asked to shut down and runs on after {seconds:g} seconds{why}; should it still do so "
                "later, it has to be started by hand"
            )
    running, why = _try(api, f"{path}/start", look, 0, True, {})
    if not running:  # else it runs, whoever started it
        raise GuestDownError(f"it was shut down and does not start again{why}")


def _try(
    api: Union[Pvesh, Api], path: str, look: Look, seconds: float, wanted: bool, parameters: Mapping[str, str]
) -> Tuple[bool, str]:
    """Whether the guest runs after this request, and why it did not do what it should.

    Where that may still happen it is waited for.
    """
    until, why, later = time.monotonic() + seconds + _LATER, "", False
    try:
        api.task(path, seconds, **parameters)
    except GuestError as error:
        why = f" ({error.said if isinstance(error, RefusedError) else error})"
        later = isinstance(error, TimedOutError) or _HELD in why
    running = look()[0].running
    while later and running != wanted and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        running = look()[0].running
    return running, why


def _is_managed(status: Mapping[str, Any]) -> bool:
    managed = status.get("ha")
    return isinstance(managed, dict) and str(managed.get("managed") or 0) == "1"
