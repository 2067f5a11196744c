# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of this collection, raised below the runners and turned into results there and nowhere else."""

from __future__ import annotations


class RngError(Exception):
    """Base of all: the text names the guest, variable or host it is about, and what can be done."""


class InvalidValueError(RngError):
    """A value that nobody could have meant, or that no hypervisor can carry out.

    :param variable: the option or inventory variable, for example ``max_bytes``.
    :param given: the value as it was given.
    :param allowed: what is allowed, as a phrase that completes "allowed: ...".
    """

    def __init__(self, variable: str, given: object, allowed: str) -> None:
        shown = repr(given)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(f"{variable}: {shown} is not valid; allowed: {allowed}")
        self.variable = variable
        self.given = given
        self.allowed = allowed


class UnsafeSourceError(RngError):
    """A source that would abort, freeze or mislead a guest if it were attached."""


class MissingSourceError(UnsafeSourceError):
    """A source that is not there."""


class GuestError(RngError):
    """Something that concerns one guest only; the other guests go on."""


class TimedOutError(GuestError):
    """QEMU did not answer in time. What was asked of it may still happen."""


class LeftRunningError(GuestError):
    """A guest that may not be restarted now: nothing was tried, and it goes on as it was."""


class GuestDownError(GuestError):
    """A guest that was shut down for a restart, and does not start again."""


class HypervisorError(RngError):
    """The hypervisor as a whole cannot be reached, read or changed."""
