# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting the guests that wait for it, and may be restarted: a few at a time, and no more once one stays down.

A backend that can do it has ``restart`` in its capabilities, and its session has ``restart(guest, seconds, force)``. It
may have ``busy()``, too, which says why no guest of the host may be restarted now; without it, one guest that is locked
keeps all of them from it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any, Dict, List, Sequence

from ..bounded import STALLED
from ..converge import NEEDS_RESTART
from ..errors import GuestError, HypervisorError, LeftRunningError, RngError, UnsafeSourceError
from ..observation import LOCK, ObservedGuest
from ..text import printable
from .arguments import Restarts
from .convergence import Convergence

CANNOT = "guests of this kind of hypervisor are restarted by hand"
_PAUSES = (0, 1, 5, 20)  # seconds before each time that a lost connection is tried again: a service may be restarting


def restart_all(waiting: Sequence[Convergence], backend: Any, rules: Restarts) -> Dict[str, Convergence]:
    """Restart these guests, ``rules.serial`` at a time.

    :return: those that did not come back in time, by name, as they were then; their workers may still go on.
    """
    given_up: Dict[str, Convergence] = {}
    stop = ""
    for start in range(0, len(waiting), rules.serial):
        batch = waiting[start : start + rules.serial]
        if stop:
            for convergence in batch:
                convergence.held = stop
            continue
        late = _restart_together(batch, backend, rules)
        given_up.update(late)
        failed = [convergence.name for convergence in batch if convergence.error or convergence.name in late]
        if failed:
            stop = (
                f"the restart of {printable(failed[0], 80)} failed, and the others wait until somebody has looked at it"
            )
    return given_up


def _restart_together(batch: Sequence[Convergence], backend: Any, rules: Restarts) -> Dict[str, Convergence]:
    threads = [threading.Thread(target=_work, args=(convergence, backend, rules), daemon=True) for convergence in batch]
    for thread in threads:
        thread.start()
    # More than the longest that a request that is lost, the looks and the start take: a guest may be down until then.
    until = time.monotonic() + rules.seconds + 3 * STALLED
    late: Dict[str, Convergence] = {}
    for convergence, thread in zip(batch, threads):
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            why = "no answer from the hypervisor during its restart, the outcome is unknown"
            late[convergence.name] = replace(convergence, error=why)
    return late


def _work(convergence: Convergence, backend: Any, rules: Restarts) -> None:
    convergence.error = "a fault of this collection; its traceback is in the module's stderr"
    try:
        _restart(convergence, backend, rules)
        convergence.error = ""
    except LeftRunningError as error:
        convergence.error, convergence.held = "", str(error)
    except RngError as error:
        convergence.error = str(error)


def _restart(convergence: Convergence, backend: Any, rules: Restarts) -> None:
    session = backend.session()
    convergence.look(session)
    guest = convergence.after
    if guest is None or not guest.running or convergence.decide(guest).live.status != NEEDS_RESTART:
        return  # somebody else was there before
    if guest.blocked_on(LOCK):
        raise LeftRunningError(guest.blocked_on(LOCK))
    busy = _busy(session)
    if busy:
        raise LeftRunningError(busy)
    if convergence.wanted is not None:
        try:
            backend.check(session, guest, convergence.wanted)
        except UnsafeSourceError as error:
            raise LeftRunningError(f"it would not start again: {error}") from error
    _carry_out(convergence, guest, session, backend, rules)
    after = convergence.after
    if after is not None and convergence.decide(after).live.status == NEEDS_RESTART:
        raise GuestError("it was restarted, and still runs with what it had before")


def _carry_out(convergence: Convergence, guest: ObservedGuest, session: Any, backend: Any, rules: Restarts) -> None:
    for pause in (*_PAUSES, None):
        try:
            session = session or backend.session()
            try:
                if not convergence.restarted:  # else only the look after it was lost
                    session.restart(guest, rules.seconds, rules.force)
                    convergence.restarted = True
            finally:
                convergence.look(session)
            return
        except HypervisorError:  # the connection broke: the guest may be down, and must not stay so
            session = None
            if pause is None:
                raise
            time.sleep(pause)


def _busy(session: Any) -> str:
    """Why no guest of this host may be restarted now."""
    if hasattr(session, "busy"):
        return str(session.busy())
    locked: List[str] = [
        f"{printable(guest.name, 80)}: {guest.blocked_on(LOCK)}"
        for guest in session.observe_all()
        if guest.blocked_on(LOCK)
    ]
    return locked[0] if locked else ""
