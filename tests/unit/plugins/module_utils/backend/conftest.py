# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of one backend share."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import ganeti as backend
from ansible_collections.fleet.rng.plugins.module_utils.backend import ganeti_jobs
from ansible_collections.fleet.rng.plugins.module_utils.module import apply
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_ganeti import FakeMaster


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> FakeMaster:
    """A Ganeti cluster without instances."""
    found = FakeMaster()
    monkeypatch.setattr(backend, "Master", lambda: found)
    monkeypatch.setattr(backend, "qemu_processes", dict)
    monkeypatch.setattr(backend, "check_source", lambda source, user: None)
    monkeypatch.setattr(ganeti_jobs.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(apply.time, "sleep", lambda seconds: None)
    return found
