# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A time limit for work that a hung daemon, or a hung QEMU, could block for ever."""

from __future__ import annotations

import threading
from typing import Callable, List, Type, TypeVar

from .errors import HypervisorError, RngError

STALLED = 90  # seconds without an answer; libvirt itself waits 30 for a hung QEMU

T = TypeVar("T")


def bounded(work: Callable[[], T], doing: str, seconds: float = STALLED, late: Type[RngError] = HypervisorError) -> T:
    """Run something that could block for ever, in a thread that is left behind, and does not outlive the module.

    :param late: what is raised when it has not ended in time: whom it concerns.
    """
    answers: List[T] = []
    errors: List[RngError] = []

    def attempt() -> None:
        try:
            answers.append(work())
        except RngError as error:
            errors.append(error)

    worker = threading.Thread(target=attempt, daemon=True)
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        raise late(f"no answer within {round(seconds, 3):g} seconds while {doing}")
    if errors:
        raise errors[0]
    if not answers:
        raise HypervisorError(f"a fault of this collection while {doing}; its traceback is in the module's stderr")
    return answers[0]
