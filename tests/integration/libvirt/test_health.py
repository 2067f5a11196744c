# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests draw from sound and from failed sources, judged. The guests boot systems and draw for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from integration.libvirt.hypervisor import PAYLOAD, PYTHON, Hypervisor
from lab.packages import download

# An EGD server whose bits are ones in 55 of 100 cases. The guest's kernel asks for 64 bytes at a time.
BIASED = """
import os, random, socket
source = random.Random(1)
server = socket.socket(socket.AF_UNIX)
server.bind("/run/biased.sock")
server.listen()
print(os.getpid(), flush=True)
client = server.accept()[0]
while True:
    request = client.recv(4096)
    for at in range(0, len(request) - 1, 2):
        client.sendall(bytes(sum((source.random() < 0.55) << bit for bit in range(8)) for _ in range(request[at + 1])))
"""
RANDOM = "<rng model='virtio'><backend model='random'>{}</backend></rng>"
GUESTS = {
    "sound": RANDOM.format("/dev/urandom"),
    "zeros": RANDOM.format("/dev/view-zero"),
    "biased": (
        "<rng model='virtio'><backend model='egd' type='unix'>"
        "<source mode='connect' path='/run/biased.sock'/></backend></rng>"
    ),
}
GOOD, BAD = "no failure found", "failed"
PROGRAM = "/usr/local/bin/rngtest"


@pytest.fixture(scope="module")
def tester(main: Hypervisor) -> Iterator[Hypervisor]:
    """The hypervisor with rngtest on its path. Installing the package would start a daemon that feeds the kernel."""
    download(["rng-tools5"], main.host.directory / "rng-tools")
    main.host.check("cp", "/run/lab/host/rng-tools/usr/bin/rngtest", PROGRAM)
    yield main
    main.host.check("rm", PROGRAM)


@pytest.fixture(scope="module")
def measured(tester: Hypervisor) -> Iterator[dict[str, dict[str, Any]]]:
    """What each guest drew, by its name."""
    tester.host.check("mknod", "-m", "0666", "/dev/view-zero", "c", "1", "5")
    with tester.serving(BIASED):
        for guest in [tester.define(name, running=True, rng=rng, wait=False) for name, rng in GUESTS.items()]:
            guest.wait()
        limits = {"seconds": 60, "bytes": 65536}
        options = {"guest_view": True, "guest_exec": True, "measure": limits, "guests": list(GUESTS), "timeout": 600}
        job = json.dumps({"module": "libvirt_rng_info", "args": options})
        command = ["env", f"PYTHONPATH={PAYLOAD}", PYTHON, f"{PAYLOAD}/run_module.py"]
        result = json.loads(tester.host.check(*command, stdin=job))
        assert not result.get("failed"), result
        yield {guest["name"]: guest["guest_view"] for guest in result["guests"]}
        tester.forget()
    tester.host.check("rm", "-f", "/dev/view-zero", "/run/biased.sock")


@pytest.mark.parametrize(
    ("name", "repetition", "proportion", "fips"),
    [("sound", GOOD, GOOD, GOOD), ("zeros", BAD, BAD, BAD), ("biased", GOOD, GOOD, BAD)],
)
def test_verdict(name: str, repetition: str, proportion: str, fips: str, measured: dict[str, dict[str, Any]]) -> None:
    found = measured[name]["measured"]
    assert found["status"] == "measured", measured[name]
    assert found["health"] == {
        "repetition_count": repetition,
        "adaptive_proportion": proportion,
        "fips_140_2": fips,
    }
