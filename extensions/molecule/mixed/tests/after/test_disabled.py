# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of hypervisor has stored what it had before the first run, byte for byte."""

from __future__ import annotations

testinfra_hosts = ["ansible://hv8", "ansible://qm2", "ansible://pve2", "ansible://gnt2"]


def test_stored_as_before(stored, stored_before):
    assert stored_before.count("\n") > 2
    assert stored == stored_before
