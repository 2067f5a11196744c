# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.fleet.rng.plugins.plugin_utils.programs import Program, text_of

PROGRAM = Program("watch_program", entry="watch", name="fleet-rng-watch")


class LookupModule(LookupBase):
    """The program that watches a host."""

    def run(self, terms: Sequence[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        del variables
        return text_of(PROGRAM, terms, kwargs)
