# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors and guests of these tests."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from integration.libvirt.hypervisor import Hypervisor
from lab import Guest, GuestSpec, HostSpec, HwRng, Lab, LabSpec
from lab.packages import install
from lab.process import say

SPEC = LabSpec(
    (
        HostSpec(
            "hv1",
            hwrng=HwRng(device="real"),
            guests=(
                GuestSpec("runner", spare_ports=6),
                GuestSpec("pc", machine="pc"),
                GuestSpec("noslot", spare_ports=0),
                GuestSpec("firmware", firmware_only=True),
            ),
        ),
        HostSpec("hv2", hwrng=HwRng(current="tpm-rng-0", available=("tpm-rng-0",))),
        HostSpec("hv3", guests=(GuestSpec("hung", firmware_only=True), GuestSpec("fine", running=False))),
    )
)


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    """All of them; booted once."""
    # Before they boot: of what is installed under the overlays of a running host, some may stay unseen there.
    install(["virtinst"], say)
    return boot_lab(SPEC)


@pytest.fixture(scope="session")
def main(lab: Lab) -> Hypervisor:
    return Hypervisor(lab, lab.host("hv1"))


@pytest.fixture(scope="session")
def spare(lab: Lab) -> Hypervisor:
    return Hypervisor(lab, lab.host("hv2"))


@pytest.fixture(scope="session")
def hanging(lab: Lab) -> Hypervisor:
    """The hypervisor whose guest ``hung`` has a QEMU that no longer answers."""
    hanging = Hypervisor(lab, lab.host("hv3"))
    hanging.signal_qemu("hung", signal.SIGSTOP)
    return hanging


@pytest.fixture(scope="session")
def run_that_hangs(hanging: Hypervisor) -> Iterator[subprocess.Popen[str]]:
    """A run that spends a minute or more waiting for ``hung``."""
    with hanging.start_module([{"guest": "hung"}, {"guest": "fine"}]) as run:
        yield run


@pytest.fixture(scope="session", autouse=True)
def _begin_early(request: pytest.FixtureRequest) -> None:
    """Begin that run before everything else, so that nobody has to wait for it."""
    if any("run_that_hangs" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("run_that_hangs")


@pytest.fixture
def hv(main: Hypervisor) -> Iterator[Hypervisor]:
    """The hypervisor whose guests run systems; guests that a test defines on it go with the test."""
    yield main
    main.forget()


@pytest.fixture
def fragile(spare: Hypervisor) -> Iterator[Hypervisor]:
    """The hypervisor that tests may break: its daemon, its disk, its permissions."""
    yield spare
    spare.forget()


def _shared(hv: Hypervisor, name: str) -> Iterator[Guest]:
    guest = hv.lab.guest(name, hv.host.name)
    assert hv.counts(name) == (0, 0), "the test before has left an RNG behind"
    yield guest
    result = hv.module([{"guest": name, "state": "absent"}], wait=60).result
    assert hv.counts(name) == (0, 0), result
    if guest.spec.has_agent:
        hv.survives(guest)


@pytest.fixture
def runner(hv: Hypervisor) -> Iterator[Guest]:
    """A running q35 guest with free ports and no RNG; it has to survive the test."""
    yield from _shared(hv, "runner")


@pytest.fixture
def pc(hv: Hypervisor) -> Iterator[Guest]:
    """The same on the older machine type, whose slots can all be hot-plugged."""
    yield from _shared(hv, "pc")


@pytest.fixture
def noslot(hv: Hypervisor) -> Iterator[Guest]:
    """The same with no port left."""
    yield from _shared(hv, "noslot")


@pytest.fixture
def other(hv: Hypervisor) -> Guest:
    """A guest with nothing special, which must be served whatever happens to the others."""
    return hv.define("other")
