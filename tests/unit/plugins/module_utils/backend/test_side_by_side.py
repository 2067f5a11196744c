# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that are under way together: in order, bounded in number, and ended by the first that ends all."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.side_by_side import side_by_side
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError


@pytest.mark.parametrize("workers", [1, 3, 100])
def test_results_have_the_order_of_the_items(workers: int) -> None:
    assert side_by_side(lambda item: item * 2, range(20), workers) == [number * 2 for number in range(20)]


def test_nothing_to_do() -> None:
    assert side_by_side(str, [], 3) == []


def test_as_many_as_asked_for_are_under_way() -> None:
    meeting = threading.Barrier(3)  # breaks unless three come together

    def meet(number: int) -> int:
        meeting.wait(60)
        return number

    assert side_by_side(meet, range(6), 3) == list(range(6))


def test_one_that_ends_all() -> None:
    begun: list[int] = []

    def fail(number: int) -> int:
        begun.append(number)
        raise HypervisorError(f"lost at {number}")

    with pytest.raises(HypervisorError, match=r"^lost at 0$"):
        side_by_side(fail, range(50), 1)
    assert begun == [0]
