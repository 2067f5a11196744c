# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors: one family, so that a runner catches all of them and nothing else; the texts are whole and bounded."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils import errors


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (errors.InvalidValueError("period", 0, "1"), errors.RngError),
        (errors.UnsafeSourceError("no"), errors.RngError),
        (errors.GuestError("no"), errors.RngError),
        (errors.TimedOutError("no"), errors.GuestError),
        (errors.HypervisorError("no"), errors.RngError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_family(error: Exception, base: type[Exception]) -> None:
    assert isinstance(error, base)


def test_a_hypervisor_that_fails_is_not_the_fault_of_one_guest() -> None:
    assert not issubclass(errors.HypervisorError, errors.GuestError)


def test_what_was_given_is_shown_without_control_characters_and_in_part() -> None:
    error = errors.InvalidValueError("source", "\x1b[31m" + "x" * 500, "a path")
    assert str(error).startswith(r"source: '\x1b[31mxxx")
    assert str(error).endswith("xxx... is not valid; allowed: a path")
    assert len(str(error)) < 200
