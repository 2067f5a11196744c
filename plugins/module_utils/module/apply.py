# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner behind every ``*_rng`` module: all guests of one hypervisor side by side, each with its own outcome."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule

from ..errors import GuestError, HypervisorError, RngError
from ..observation import ObservedGuest
from ..text import printable
from .arguments import parse_requests
from .bounded import STALLED, bounded
from .journey import Journey, Options

WORKERS = 8  # connections that write at once; more do not help libvirtd
_RECONNECTS = 3
_NAMED_ERRORS = 10


def run(module: AnsibleModule, backend: Any) -> None:
    """Converge the guests that the module's ``devices`` names, and exit."""
    options = Options(
        capabilities=backend.CAPABILITIES,
        live=module.params["live"],
        exclusive=module.params["exclusive"],
        wait=module.params["wait"],
    )
    try:
        journeys = bounded(lambda: _prepare(module.params["devices"], backend, options), "observing the guests")
    except RngError as error:
        module.fail_json(msg=str(error), guests=[])
    if not module.check_mode:
        _travel([journey for journey in journeys if journey.acts], backend, STALLED + options.wait)
    _report(module, journeys)


def _prepare(devices: List[Dict[str, Any]], backend: Any, options: Options) -> List[Journey]:
    """Find every guest, decide, and check what is to be given to it; a connection is opened only when one asks."""
    requests = parse_requests(devices, options.capabilities.max_bytes)
    journeys = [Journey(request.guest, request.device, options, error=request.error) for request in requests]
    wanted = {journey.name: journey.wanted for journey in journeys if not journey.error}
    if not wanted:
        return journeys
    session = backend.session()
    models = {name: device.model if device else "virtio" for name, device in wanted.items()}
    observed = session.observe_all(models)
    by_name = {guest.uuid: guest for guest in observed}
    by_name.update({guest.name: guest for guest in observed})
    found: Dict[str, Journey] = {}
    for journey in journeys:
        if journey.error:
            continue
        journey.before = by_name.get(journey.name)
        if journey.before is None:
            journey.error = "no guest of this name or UUID is here"
            continue
        twin = found.setdefault(journey.before.uuid, journey)
        if twin is not journey:
            twin.error = journey.error = "is given twice in devices, by name and by UUID"
            continue
        _check(journey, journey.before, session, backend)
    return journeys


def _check(journey: Journey, guest: ObservedGuest, session: Any, backend: Any) -> None:
    decision = journey.decide(guest)
    journey.error = decision.error
    device = decision.live.add or decision.config.add
    if device is not None:
        try:
            backend.check(session, guest, device)
        except RngError as error:
            journey.error = str(error)


def _travel(journeys: List[Journey], backend: Any, patience: float) -> None:
    """Send the guests on their way. Guests that hang hold up their own workers only, and not for ever.

    :param patience: the seconds in which at least one guest has to arrive; those under way are then given up, and
        fresh workers serve the others.
    """
    todo: queue.SimpleQueue[Journey] = queue.SimpleQueue()
    done: queue.SimpleQueue[Journey] = queue.SimpleQueue()
    for journey in journeys:
        todo.put(journey)
    _hire(todo, done, backend)
    waiting = {id(journey): journey for journey in journeys}
    while waiting:
        try:
            waiting.pop(id(done.get(timeout=patience)), None)
        except queue.Empty:
            for journey in [journey for journey in waiting.values() if journey.under_way]:
                journey.error = f"no answer from the hypervisor within {patience:g} seconds, the outcome is unknown"
                del waiting[id(journey)]
            _hire(todo, done, backend)


def _hire(todo: queue.SimpleQueue[Journey], done: queue.SimpleQueue[Journey], backend: Any) -> None:
    for dummy in range(min(WORKERS, todo.qsize())):
        threading.Thread(target=_work, args=(todo, done, backend), daemon=True).start()


def _work(todo: Any, done: Any, backend: Any) -> None:
    session = None
    while True:
        try:
            journey = todo.get_nowait()
        except queue.Empty:
            return
        journey.under_way = True
        journey.error = "a fault of this collection; its traceback is in the module's stderr"
        try:
            session = _walk(journey, session, backend)
        finally:
            done.put(journey)


def _walk(journey: Journey, session: Any, backend: Any) -> Any:
    """One guest, over a connection that may break: then read again and go on from there."""
    for attempt in range(_RECONNECTS + 1):
        try:
            if session is None:
                session = backend.session()
            if attempt:
                journey.look(session)
            journey.run(session)
            journey.error = ""
            return session
        except GuestError as error:
            journey.error = str(error)
            return session
        except HypervisorError as error:
            journey.error = str(error)
            session = None
            time.sleep(attempt)
    return session


def _report(module: AnsibleModule, journeys: List[Journey]) -> None:
    guests = [journey.result(module.check_mode) for journey in journeys]
    result: Dict[str, Any] = {"changed": any(guest["changed"] for guest in guests), "guests": guests}
    if module._diff:
        diffs = [_diff(journey, module.check_mode) for journey in journeys]
        result["diff"] = [diff for diff in diffs if diff is not None]
    failed = [journey for journey in journeys if journey.error]
    if failed:
        named = [f"{printable(journey.name)}: {journey.error}" for journey in failed[:_NAMED_ERRORS]]
        if len(failed) > _NAMED_ERRORS:
            named.append(f"and {len(failed) - _NAMED_ERRORS} more")
        module.fail_json(msg=f"{len(failed)} of {len(journeys)} guests failed: " + "; ".join(named), **result)
    module.exit_json(**result)


def _diff(journey: Journey, check_mode: bool) -> Any:
    diff = journey.diff(check_mode)
    if diff is not None:
        diff["before_header"] = diff["after_header"] = printable(journey.name)
    return diff
