# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance that runs was not touched: what it has stored waits for its reboot."""

from __future__ import annotations

testinfra_hosts = ["ansible://gnt2"]


def test_instance_waits(instance):
    assert instance("front-gnt").rngs() == []
    assert instance("front-gnt").own()["kvm_extra"].startswith("-device i6300esb,id=dog -object rng-random,")
