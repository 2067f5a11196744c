# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hypervisors have stored, and what they had stored before the first run."""

from __future__ import annotations

from pathlib import Path

import pytest
from testinfra.host import Host

PROGRAM = (Path(__file__).parents[1] / "stored.sh").read_text()


@pytest.fixture(scope="module")
def stored(host: Host) -> str:
    """All that the hypervisor has stored about its guests."""
    text: str = host.check_output("sh -c %s", PROGRAM)
    return text


@pytest.fixture(scope="module")
def stored_before(host: Host) -> str:
    """The same, before the first run."""
    text: str = host.file("/root/stored-before").content_string
    return text.rstrip("\r\n")
