# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's view, whoever finds the process: the cases that do not depend on a hypervisor are with libvirt's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.host_view import look
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice, ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.transport.process import NoProcessError

RANDOM = FoundDevice(RngDevice.from_wire({"source": "/dev/random"}), "rng0")
GUEST = ObservedGuest("web1", running=True, live=(RANDOM,))


def test_a_real_process() -> None:
    with Path("/dev/random").open("rb"):
        seen = look(GUEST, os.getpid, None)
    assert (seen["status"], seen["pid"]) == ("seen", os.getpid())
    assert seen["open"] == [{"source": "/dev/random", "open": True, "why": None}]
    assert (seen["qemu"], seen["qemu_why"]) == (None, None)


@pytest.mark.parametrize(
    ("error", "status"), [(NoProcessError("it has ended"), "no process"), (GuestError("there are two"), "error")]
)
def test_without_a_process(error: GuestError, status: str) -> None:
    def find() -> int:
        raise error

    seen = look(GUEST, find, None)
    assert (seen["status"], seen["pid"], seen["open"][0]["why"]) == (status, None, str(error))


def test_one_that_is_off() -> None:
    assert look(ObservedGuest("web1"), os.getpid, None)["status"] == "not running"
