# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ganeti's jobs: what changes an instance is submitted, and watched to its end."""

from __future__ import annotations

import time
from typing import Mapping

from ..codec.ganeti import escape
from ..codec.luxi import parse_job, parse_job_id
from ..errors import GuestError, TimedOutError
from ..transport.ganeti import Master

JOB_SECONDS = 60.0  # a job waits for what others do with the instance
_POLL = 0.1


class Jobs:
    """All of them end with the work done, or an error.

    GuestError is Ganeti's own reason, or that the job was cancelled because it had to wait for too long. TimedOutError
    is a job that began and goes on.
    """

    def __init__(self, master: Master, seconds: float = JOB_SECONDS) -> None:
        self._master, self._seconds = master, seconds

    def modify(self, name: str, values: Mapping[str, str]) -> None:
        """Give an instance hypervisor parameters of its own."""
        given = ",".join(f"{parameter}={escape(value)}" for parameter, value in values.items())
        self._wait(self._master.modify(name, given), self._seconds)

    def reboot(self, name: str, seconds: int) -> None:
        """End an instance, by force after ``seconds``, and start it with its parameters of now."""
        self._wait(self._master.reboot(name, seconds), self._seconds + seconds)

    def start(self, name: str) -> None:
        self._wait(self._master.start(name), self._seconds)

    def _wait(self, submitted: str, seconds: float) -> None:
        job = parse_job_id(submitted)
        until = time.monotonic() + seconds
        while not parse_job(self._master.job(job)):
            if time.monotonic() > until:
                self._give_up(job, seconds)
            time.sleep(_POLL)

    def _give_up(self, job: int, seconds: float) -> None:
        answer = self._master.cancel(job)
        waited = f"Ganeti's job {job} has not ended within {seconds:g} seconds"
        if isinstance(answer, list) and answer[:1] == [True]:
            raise GuestError(f"{waited}, since other jobs have the instance, and was cancelled")
        raise TimedOutError(f"{waited}; it goes on")
