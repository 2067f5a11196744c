# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of plain QEMU that runs has lost its RNG, and what was behind it."""

from __future__ import annotations

testinfra_hosts = ["ansible://qm2"]


def test_guest_has_none(qemu_guest):
    assert qemu_guest("front-qm").rngs() == []
    assert qemu_guest("front-qm").backends() == []
    assert qemu_guest("front-qm").settles_on("none")
