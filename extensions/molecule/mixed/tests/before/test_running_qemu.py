# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of plain QEMU that runs has its RNG now, and uses it."""

from __future__ import annotations

testinfra_hosts = ["ansible://qm2"]


def test_guest_has_and_uses_it(qemu_guest):
    assert [(rng["max-bytes"], rng["period"]) for rng in qemu_guest("front-qm").rngs()] == [(2048, 500)]
    assert qemu_guest("front-qm").settles_on("virtio_rng.0")
