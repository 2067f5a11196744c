# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of all guests, side by side. A guest that hangs holds up nobody, and its failure is its own status."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..backend import guest_view, host_view
from ..backend.guest_view import ERROR, MEASURE_GRACE, NOT_RUNNING, GuestOptions
from ..bounded import bounded
from ..errors import InvalidValueError, RngError
from ..kernel import measure
from ..kernel.measure import Limits
from ..observation import ObservedGuest
from ..transport.agent import TIMED_OUT

WORKERS = 8  # connections; libvirtd answers a few requests of each at a time, and a hung agent blocks one
MAX_TIMEOUT = 600
SPARE = (
    15  # seconds beyond a guest's own: opening a connection, and the five that libvirt waits for an agent's greeting
)
RESTART = 5  # seconds that a daemon may take to come back after it broke a connection
HOST_SECONDS = 45  # for a view of the host; QEMU's monitor has time limits of its own

_FAULT = "a fault of this collection; its traceback is in the module's stderr"

GUEST, HOST = "guest_view", "host_view"

VIEWS_SPEC: Dict[str, Any] = {
    "guest_view": {"type": "bool", "default": False},
    "guest_exec": {"type": "bool", "default": False},
    "host_view": {"type": "bool", "default": False},
    "monitor": {"type": "bool", "default": False},
    "measure": {
        "type": "dict",
        "options": {
            "seconds": {"type": "int", "default": measure.SECONDS},
            "bytes": {"type": "int", "default": measure.BYTES},
        },
    },
    "guests": {"type": "list", "elements": "str"},
    "timeout": {"type": "int", "default": 10},
}


@dataclass(frozen=True)
class Views:
    """Which views are asked for, of which guests (None: of all), and how far they may go."""

    guest: Optional[GuestOptions] = None
    host: bool = False
    monitor: bool = False
    guests: Optional[Tuple[str, ...]] = None

    @property
    def kinds(self) -> Tuple[str, ...]:
        return ((GUEST,) if self.guest else ()) + ((HOST,) if self.host else ())

    def wants(self, guest: ObservedGuest) -> bool:
        return self.guests is None or guest.name in self.guests or guest.uuid in map(str.lower, self.guests)

    def patience(self, kind: str) -> float:
        """The seconds after which a guest is given up."""
        if kind == HOST or self.guest is None:
            return HOST_SECONDS
        limits = self.guest.measure
        return self.guest.seconds + SPARE + (0 if limits is None else limits.seconds + MEASURE_GRACE)


def parse_views(options: Mapping[str, Any]) -> Views:
    """The options of the module, checked.

    :raises InvalidValueError: naming the option, what was given, and what is allowed.
    """
    seconds = options.get("timeout", 10)
    if not 1 <= seconds <= MAX_TIMEOUT:
        raise InvalidValueError("timeout", seconds, f"seconds, an integer from 1 to {MAX_TIMEOUT}")
    execute, asked = bool(options.get("guest_exec")), bool(options.get("guest_view"))
    limits = _parse_measure(options.get("measure"))
    if limits is not None and not (asked and execute):
        raise InvalidValueError("measure", options.get("measure"), "only together with guest_view and guest_exec")
    names = options.get("guests")
    return Views(
        guest=GuestOptions(execute, seconds, limits) if asked else None,
        host=bool(options.get("host_view")),
        monitor=bool(options.get("monitor")),
        guests=None if names is None else tuple(names),
    )


def _parse_measure(given: Optional[Mapping[str, int]]) -> Optional[Limits]:
    if given is None:
        return None
    for name, least, most, unit in (
        ("seconds", 1, measure.MAX_SECONDS, "seconds"),
        ("bytes", measure.MIN_BYTES, measure.MAX_BYTES, "bytes"),
    ):
        if not least <= given[name] <= most:
            raise InvalidValueError(f"measure.{name}", given[name], f"{unit}, an integer from {least} to {most}")
    return Limits(given["seconds"], given["bytes"])


@dataclass(frozen=True, eq=False)
class Job:
    """One view of one guest."""

    guest: ObservedGuest
    kind: str


@dataclass(frozen=True)
class Event:
    """What a worker says: that it began a job, or what came of it; ``lost`` when the worker itself ends with it."""

    job: Job
    answer: Optional[Dict[str, Any]] = None
    lost: bool = False


def look(guests: Sequence[ObservedGuest], backend: Any, views: Views) -> List[ObservedGuest]:
    """The guests, in the same order, with the views that were asked for."""
    jobs = [Job(guest, kind) for guest in guests if views.wants(guest) for kind in views.kinds]
    known = {job: _known(job) for job in jobs}
    processes: Mapping[str, int] = {}
    if any(job.kind == HOST and known[job] is None for job in jobs):
        try:
            processes = bounded(backend.processes, "looking for the processes of guests", HOST_SECONDS)
        except RngError as error:
            known.update({job: failed(HOST, ERROR, str(error)) for job in jobs if job.kind == HOST})
    asked = _Round([job for job in jobs if known[job] is None], backend, views, processes).run()
    found: Dict[str, Dict[str, Any]] = {}
    for job in jobs:
        found.setdefault(job.guest.uuid, {})[job.kind] = asked.get(job, known[job])
    return [replace(guest, **found.get(guest.uuid, {})) for guest in guests]


def _known(job: Job) -> Optional[Dict[str, Any]]:
    """What needs no asking."""
    if job.guest.error:
        return failed(job.kind, ERROR, job.guest.error)
    return None if job.guest.running else failed(job.kind, NOT_RUNNING, "it is shut off")


def failed(kind: str, status: str, why: str) -> Dict[str, Any]:
    """The view of a guest that nobody could look at."""
    return guest_view.not_seen(status, why) if kind == GUEST else host_view.not_seen(status, why)


class _Round:
    """Jobs and the workers that do them. Only the thread that runs it reads what the workers say."""

    def __init__(self, jobs: Sequence[Job], backend: Any, views: Views, processes: Mapping[str, int]) -> None:
        self.backend, self.views, self.processes = backend, views, processes
        self.todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.waiting = set(jobs)
        self.due: Dict[Job, float] = {}
        self.given_up: Set[Job] = set()
        for job in jobs:
            self.todo.put(job)

    def run(self) -> Dict[Job, Dict[str, Any]]:
        answers: Dict[Job, Dict[str, Any]] = {}
        for dummy in range(min(WORKERS, len(self.waiting))):
            self._hire()
        while self.waiting:
            try:
                self._note(self.events.get(timeout=self._until_due()), answers)
            except queue.Empty:
                pass
            for job in self._late():
                answers[job] = self._give_up(job)
        return answers

    def _note(self, event: Event, answers: Dict[Job, Dict[str, Any]]) -> None:
        if event.lost:
            self._hire()
        if event.job not in self.waiting:
            return  # given up before
        if event.answer is None:
            self.due[event.job] = time.monotonic() + self.views.patience(event.job.kind)
        else:
            answers[event.job] = event.answer
            self.waiting.discard(event.job)

    def _until_due(self) -> Optional[float]:
        due = [self.due[job] for job in self.waiting if job in self.due]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _late(self) -> List[Job]:
        now = time.monotonic()
        return [job for job in self.waiting if self.due.get(job, now) < now]

    def _give_up(self, job: Job) -> Dict[str, Any]:
        """Leave a worker to its fate, and put another one in its place."""
        self.waiting.discard(job)
        self.given_up.add(job)
        self._hire()
        status = TIMED_OUT if job.kind == GUEST else ERROR
        return failed(job.kind, status, f"no answer within {self.views.patience(job.kind):g} seconds")

    def _hire(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        session, broken = None, False
        while True:
            try:
                job = self.todo.get_nowait()
            except queue.Empty:
                return
            self.events.put(Event(job))
            answer, lost = failed(job.kind, ERROR, _FAULT), True
            try:
                if session is None:
                    session = self._open(RESTART if broken else 0)
                answer, lost = self._look(session, job), False
            except RngError as error:
                answer, lost = failed(job.kind, ERROR, str(error)), False
                session, broken = None, session is not None
            finally:
                self.events.put(Event(job, answer, lost))
            if job in self.given_up:
                return  # another one has taken this place

    def _open(self, patience: float) -> Any:
        """A connection; what is left to do would else fail while a daemon restarts."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.backend.session()
            except RngError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.2)

    def _look(self, session: Any, job: Job) -> Dict[str, Any]:
        if job.kind == GUEST:
            return dict(session.guest_view(job.guest, self.views.guest))
        return dict(session.host_view(job.guest, self.processes, self.views.monitor))
