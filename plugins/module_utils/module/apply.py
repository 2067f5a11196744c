# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner behind every ``*_rng`` module: all guests of one hypervisor side by side, each with its own outcome."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import replace
from typing import Any, Dict, List, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..bounded import STALLED, bounded
from ..errors import GuestError, HypervisorError, RngError
from ..observation import ObservedGuest
from ..text import printable
from .arguments import parse_requests, parse_restarts, parse_wait
from .convergence import Convergence, Options
from .restart import CANNOT, restart_all

WORKERS = 8  # connections that write at once; more do not help libvirtd
_RECONNECTS = 3
_NAMED_ERRORS = 10


def run(module: AnsibleModule, backend: Any) -> None:
    """Converge the guests that the module's ``devices`` names, and exit."""
    try:
        options = Options(
            capabilities=backend.CAPABILITIES,
            live=module.params["live"],
            exclusive=module.params["exclusive"],
            wait=parse_wait(module.params["wait"]),
        )
        restarts = parse_restarts(module.params)
        convergences = bounded(lambda: _prepare(module.params["devices"], backend, options), "observing the guests")
    except RngError as error:
        module.fail_json(msg=str(error), guests=[])
    if not module.check_mode:
        given_up = _converge_all(
            [convergence for convergence in convergences if convergence.acts], backend, STALLED + options.wait
        )
        convergences = [given_up.get(convergence.name, convergence) for convergence in convergences]
    waiting = [convergence for convergence in convergences if convergence.waits]
    if not options.capabilities.restart:
        for convergence in waiting:
            convergence.held = CANNOT
    elif not module.check_mode:
        given_up = restart_all(waiting, backend, restarts)
        convergences = [given_up.get(convergence.name, convergence) for convergence in convergences]
    _report(module, convergences)


def _prepare(devices: List[Dict[str, Any]], backend: Any, options: Options) -> List[Convergence]:
    """Find every guest, decide, and check what is to be given to it; a connection is opened only when one asks."""
    requests = parse_requests(devices, options.capabilities.max_bytes)
    convergences = [
        Convergence(request.guest, request.device, options, error=request.error, restart=request.restart)
        for request in requests
    ]
    wanted = {convergence.name: convergence.wanted for convergence in convergences if not convergence.error}
    if not wanted:
        return convergences
    session = backend.session()
    models = {name: device.model if device else "virtio" for name, device in wanted.items()}
    observed = session.observe_all({**{name.lower(): model for name, model in models.items()}, **models})
    named, by_uuid = _named(observed), {guest.uuid: [guest] for guest in observed}
    found: Dict[str, Convergence] = {}
    for convergence in convergences:
        if convergence.error:
            continue
        meant = named.get(convergence.name) or by_uuid.get(convergence.name.lower()) or []
        if len(meant) != 1:
            convergence.error = _not_one(meant)
            continue
        convergence.before = meant[0]
        twin = found.setdefault(convergence.before.uuid, convergence)
        if twin is not convergence:
            twin.error = convergence.error = "is given twice in devices, by name and by UUID"
            continue
        _check(convergence, convergence.before, session, backend)
    return convergences


def _named(observed: Sequence[ObservedGuest]) -> Dict[str, List[ObservedGuest]]:
    """The guests that each name or number may mean."""
    named: Dict[str, List[ObservedGuest]] = {}
    for guest in observed:
        for key in dict.fromkeys((guest.name, guest.given_name, guest.number or guest.name)):
            named.setdefault(key, []).append(guest)
    return named


def _not_one(meant: Sequence[ObservedGuest]) -> str:
    if not meant:
        return "no guest of this name or UUID is here"
    numbers = ", ".join(guest.number or guest.uuid for guest in meant[:_NAMED_ERRORS])
    return f"{len(meant)} guests have this name; give the number or the UUID of the right one instead: {numbers}"


def _check(convergence: Convergence, guest: ObservedGuest, session: Any, backend: Any) -> None:
    decision = convergence.decide(guest)
    convergence.error = decision.error
    device = decision.live.add or decision.config.add
    if device is not None:
        try:
            backend.check(session, guest, device)
        except RngError as error:
            convergence.error = str(error)


def _converge_all(convergences: List[Convergence], backend: Any, patience: float) -> Dict[str, Convergence]:
    """Send the guests on their way. Guests that hang hold up their own workers only, and not for ever.

    :param patience: the seconds in which at least one guest has to arrive; those under way are then given up, and
        fresh workers serve the others.
    :return: those that were given up, by name, as they were then; their workers may still go on.
    """
    todo: queue.SimpleQueue[Convergence] = queue.SimpleQueue()
    done: queue.SimpleQueue[Convergence] = queue.SimpleQueue()
    for convergence in convergences:
        todo.put(convergence)
    _hire(todo, done, backend)
    waiting = {convergence.name: convergence for convergence in convergences}
    given_up: Dict[str, Convergence] = {}
    while waiting:
        try:
            waiting.pop(done.get(timeout=patience).name, None)
        except queue.Empty:
            why = f"no answer from the hypervisor within {patience:g} seconds, the outcome is unknown"
            for convergence in [convergence for convergence in waiting.values() if convergence.under_way]:
                given_up[convergence.name] = replace(waiting.pop(convergence.name), error=why)
            _hire(todo, done, backend)
    return given_up


def _hire(todo: queue.SimpleQueue[Convergence], done: queue.SimpleQueue[Convergence], backend: Any) -> None:
    for dummy in range(min(WORKERS, todo.qsize())):
        threading.Thread(target=_work, args=(todo, done, backend), daemon=True).start()


def _work(todo: Any, done: Any, backend: Any) -> None:
    session = None
    while True:
        try:
            convergence = todo.get_nowait()
        except queue.Empty:
            return
        convergence.under_way = True
        convergence.error = "a fault of this collection; its traceback is in the module's stderr"
        try:
            session = _converge(convergence, session, backend)
        finally:
            done.put(convergence)


def _converge(convergence: Convergence, session: Any, backend: Any) -> Any:
    """One guest, over a connection that may break: then read again and go on from there."""
    for attempt in range(_RECONNECTS + 1):
        try:
            if session is None:
                session = backend.session()
            if attempt:
                convergence.look(session)
            convergence.run(session)
            convergence.error = ""
            return session
        except GuestError as error:
            convergence.error = str(error)
            return session
        except HypervisorError as error:
            convergence.error = str(error)
            session = None
            time.sleep(attempt)
    return session


def _report(module: AnsibleModule, convergences: List[Convergence]) -> None:
    guests = [convergence.result(module.check_mode) for convergence in convergences]
    result: Dict[str, Any] = {"changed": any(guest["changed"] for guest in guests), "guests": guests}
    if module._diff:
        diffs = [_diff(convergence, module.check_mode) for convergence in convergences]
        result["diff"] = [diff for diff in diffs if diff is not None]
    failed = [convergence for convergence in convergences if convergence.error]
    if failed:
        named = [f"{printable(convergence.name)}: {convergence.error}" for convergence in failed[:_NAMED_ERRORS]]
        if len(failed) > _NAMED_ERRORS:
            named.append(f"and {len(failed) - _NAMED_ERRORS} more")
        module.fail_json(msg=f"{len(failed)} of {len(convergences)} guests failed: " + "; ".join(named), **result)
    module.exit_json(**result)


def _diff(convergence: Convergence, check_mode: bool) -> Any:
    diff = convergence.diff(check_mode)
    if diff is not None:
        diff["before_header"] = diff["after_header"] = printable(convergence.name)
    return diff
