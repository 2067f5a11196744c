# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs, to their end or not."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.ganeti_jobs import Jobs
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport.ganeti import Master


class Watched:
    """A master whose job goes through these states."""

    def __init__(self, *states: str, cancels: bool = True) -> None:
        self.states, self.cancels = list(states), cancels
        self.submitted: list[tuple[Any, ...]] = []

    def modify(self, *arguments: Any) -> str:
        return self._submit("modify", *arguments)

    def reboot(self, *arguments: Any) -> str:
        return self._submit("reboot", *arguments)

    def start(self, *arguments: Any) -> str:
        return self._submit("start", *arguments)

    def _submit(self, *what: Any) -> str:
        self.submitted.append(what)
        return "JobID: 7"

    def job(self, number: int) -> Any:
        assert number == 7
        return [[self.states.pop(0) if len(self.states) > 1 else self.states[0], ["why"]]]

    def cancel(self, number: int) -> Any:
        return [self.cancels, f"job {number}"]


def jobs(master: Watched, seconds: float = 60) -> Jobs:
    return Jobs(cast(Master, master), seconds)


def test_a_job_is_watched_to_its_end() -> None:
    master = Watched("queued", "waiting", "running", "success")
    jobs(master).modify("vm1", {"kvm_extra": "-a b,c\\", "virtio_rng": "off"})
    assert master.submitted == [("modify", "vm1", "kvm_extra=-a b\\,c\\\\,virtio_rng=off")]
    assert master.states == ["success"]
    jobs(master).reboot("vm1", 5)
    jobs(master).start("vm1")
    assert master.submitted[1:] == [("reboot", "vm1", 5), ("start", "vm1")]


def test_one_that_fails() -> None:
    with pytest.raises(GuestError, match="ended as error: why"):
        jobs(Watched("running", "error")).start("vm1")


def test_one_that_takes_too_long() -> None:
    with pytest.raises(GuestError, match=r"job 7 has not ended within 0 seconds, since other jobs .* was cancelled"):
        jobs(Watched("waiting"), 0).start("vm1")
    with pytest.raises(TimedOutError, match=r"within 0\.5 seconds; it goes on"):
        jobs(Watched("running", cancels=False), -0.5).reboot("vm1", 1)
