# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same call for many things, several at once, where each mostly waits for somebody else."""

from __future__ import annotations

import queue
import threading
from typing import Callable, Dict, List, Sequence, Tuple, TypeVar

from ..errors import HypervisorError

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Sequence[T], workers: int) -> List[R]:
    """The results, in the order of the items. The threads do not outlive the module, whatever hangs in them.

    :raises HypervisorError: the first one that ``work`` raises; nothing new is begun then.
    """
    todo: queue.SimpleQueue[Tuple[int, T]] = queue.SimpleQueue()
    results: Dict[int, R] = {}
    errors: List[HypervisorError] = []
    for entry in enumerate(items):
        todo.put(entry)

    def serve() -> None:
        while not errors:
            try:
                number, item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                results[number] = work(item)
            except HypervisorError as error:
                errors.append(error)

    threads = [threading.Thread(target=serve, daemon=True) for dummy in range(min(workers, len(items)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(items))]
