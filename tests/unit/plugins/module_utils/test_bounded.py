# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A time limit hands over answers and errors, and does not wait for ever."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.bounded import bounded
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError, TimedOutError


def test_an_answer_is_handed_over() -> None:
    assert bounded(lambda: 5, "counting") == 5
    assert bounded(lambda: None, "counting") is None


def test_an_error_is_raised_where_it_was_asked_for() -> None:
    with pytest.raises(GuestError, match="no"):
        bounded(lambda: (item for item in ()).throw(GuestError("no")), "counting")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_is_an_error_too() -> None:
    with pytest.raises(HypervisorError, match=r"^a fault of this collection while counting; its traceback is in"):
        bounded(lambda: 1 // 0, "counting")


def test_what_hangs_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(HypervisorError, match=r"^no answer within 0\.1 seconds while counting$"):
        bounded(lambda: release.wait(5), "counting", 0.1)
    release.set()


def test_who_waits_says_whom_it_concerns() -> None:
    release = threading.Event()
    with pytest.raises(TimedOutError, match=r"^no answer within 0\.123 seconds while asking$"):
        bounded(lambda: release.wait(5), "asking", 0.1234, TimedOutError)
    release.set()
