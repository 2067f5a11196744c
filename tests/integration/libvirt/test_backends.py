# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every source, model and driver option, attached and started for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.libvirt.hypervisor import Hypervisor, wait_for_rng
from lab import Guest

EGD = (Path(__file__).parent / "inside" / "egd.py").read_text()
SOURCES = {
    "random": "/dev/random",
    "urandom": "/dev/urandom",
    "builtin": "builtin",
    "egd_unix": "egd+unix:/run/egd.sock",
    "egd_tcp": "egd+tcp://127.0.0.1:708",
    "egd_udp": "egd+udp://127.0.0.1:709",
}
BACKENDS = {  # what QEMU has to be given
    "random": '"qom-type":"rng-random"',
    "urandom": '"filename":"/dev/urandom"',
    "builtin": '"qom-type":"rng-builtin"',
    "egd_unix": '"qom-type":"rng-egd"',
    "egd_tcp": '"qom-type":"rng-egd"',
    "egd_udp": '"qom-type":"rng-egd"',
}
DEVICES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "virtio": ({"model": "virtio"}, ['"driver":"virtio-rng-pci"']),
    "transitional": ({"model": "virtio-transitional"}, ['"driver":"virtio-rng-pci-transitional"']),
    "non_transitional": ({"model": "virtio-non-transitional"}, ['"driver":"virtio-rng-pci-non-transitional"']),
    "driver_options": (
        {"driver": {"iommu": True, "ats": True, "packed": True, "page_per_vq": True}},
        ['"iommu_platform":true', '"ats":true', '"packed":true', '"page-per-vq":true'],
    ),
    "driver_options_off": ({"driver": {"packed": False}}, ['"packed":false']),
    "rate": ({"max_bytes": 2**32 - 1, "period": 2**32 - 1}, ['"max-bytes":4294967295', '"period":4294967295']),
}


@pytest.fixture(scope="module", autouse=True)
def egd(main: Hypervisor) -> Iterator[None]:
    """A server on the hypervisor for all three transports."""
    with main.serving(EGD, "/run/egd.sock", "708", "709"):
        yield


@pytest.fixture(scope="module")
def prepared(main: Hypervisor) -> Iterator[None]:
    """One guest for each case, all converged in one play, then started."""
    entries = {name: {"source": source} for name, source in SOURCES.items()}
    entries.update({name: device for name, (device, _arguments) in DEVICES.items()})
    guests = [main.define(name, firmware_only=True, memory=32) for name in entries]
    cycle = main.cycle([{"guest": name, **entry} for name, entry in entries.items()])
    assert {cycle.statuses(name) for name in entries} == {("added", "not_applicable")}
    for guest in guests:
        guest.start()
    observed = main.play({"fleet.rng.libvirt_rng_info": {}})[0].result["guests"]
    for guest in observed:
        if guest["name"] in entries:
            assert guest["config"] == guest["live"] != [], guest
    yield
    main.forget()


def arguments(hv: Hypervisor, name: str) -> str:
    return hv.host.check("sh", "-c", f"tr '\\\\0' ' ' < /proc/{hv.qemu_pid(name)}/cmdline")


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("name", SOURCES)
def test_guest_starts_with_source(name: str, main: Hypervisor) -> None:
    assert BACKENDS[name] in arguments(main, name)


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("name", DEVICES)
def test_guest_starts_with_device(name: str, main: Hypervisor) -> None:
    for argument in DEVICES[name][1]:
        assert argument in arguments(main, name)


@pytest.mark.parametrize("name", SOURCES)
def test_running_guest_draws_from_source(name: str, hv: Hypervisor, runner: Guest) -> None:
    done = hv.module([{"guest": runner.name, "source": SOURCES[name], "max_bytes": "unlimited"}])
    assert done.statuses(runner.name) == ("added", "added")
    wait_for_rng(runner)
    assert runner.draw(256).bytes == 256
    assert not hv.module([{"guest": runner.name, "source": SOURCES[name], "max_bytes": "unlimited"}]).changed


def test_transitional_device_is_plugged_into_a_running_pc(hv: Hypervisor, pc: Guest) -> None:
    cycle = hv.cycle([{"guest": pc.name, "model": "virtio-transitional"}])
    assert cycle.statuses(pc.name) == ("added", "added")
    wait_for_rng(pc)
    assert pc.draw(64).bytes == 64


def test_transitional_device_on_q35_waits_for_the_next_start(hv: Hypervisor, runner: Guest) -> None:
    cycle = hv.cycle([{"guest": runner.name, "model": "virtio-transitional"}])
    assert cycle.statuses(runner.name) == ("added", "needs_restart")
