# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU that does not answer; see run_that_hangs in conftest.py."""

from __future__ import annotations

import json
import signal
import subprocess

from integration.libvirt.hypervisor import Hypervisor, Outcome
from lab.process import PATIENCE


def test_hung_qemu_costs_the_others_nothing_and_is_finished_later(
    run_that_hangs: subprocess.Popen[str], hanging: Hypervisor
) -> None:
    out, _err = run_that_hangs.communicate(timeout=PATIENCE)
    done = Outcome(json.loads(out))
    assert done.statuses("fine") == ("added", "not_applicable")
    assert "outcome is unknown" in done.guest("hung")["error"]
    assert done.failed

    hanging.signal_qemu("hung", signal.SIGCONT)
    devices = [{"guest": "hung"}, {"guest": "fine"}]
    assert hanging.module(devices).guest("hung")["error"] is None
    assert not hanging.module(devices).changed
    assert hanging.counts("hung") == (1, 1)
