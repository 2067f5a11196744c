# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt as a hypervisor: adding, removing and checking, over a libvirt without a daemon."""

from __future__ import annotations

import contextlib
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import libvirt as backend
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, UnsafeSourceError

RNG = "<rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
OURS = RNG.replace("</rng>", "<alias name='ua-fleet-rng'/></rng>")
DEVICE = RngDevice.from_wire({})
URI = "qemu:///system"


@pytest.fixture
def session(hypervisor: Any) -> backend.Session:
    assert hypervisor.all == {}
    return backend.Session(URI)


@pytest.mark.parametrize("layer", ["config", "live"])
@pytest.mark.parametrize("text", [RNG, OURS, RNG.replace("virtio'><rate", "virtio'><!-- --><rate")])
def test_precisely_the_device_that_was_found_goes(
    text: str, layer: str, hypervisor: Any, session: backend.Session
) -> None:
    """Of three that look alike; by alias where libvirt keeps it, otherwise by the element with its address."""
    domain = hypervisor.add("web1", RNG + text + RNG, RNG + text + RNG)
    (guest,) = session.observe_all()
    kept = [domain.layers[layer][0], domain.layers[layer][2]]
    session.remove(guest, layer, (getattr(guest, layer) or ())[1])
    assert domain.layers[layer] == kept


def test_a_session_that_did_not_observe_the_guest_can_change_it(hypervisor: Any, session: backend.Session) -> None:
    domain = hypervisor.add("web1", "", "")
    (guest,) = session.observe_all()
    backend.Session(URI).add(guest, "live", DEVICE, "ua-fleet-rng")
    assert [found.alias for found in session.observe(guest).live or ()] == ["ua-fleet-rng"]
    assert domain.layers["config"] == []


def test_waiting_ends_with_the_device_or_with_the_time(
    hypervisor: Any, session: backend.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = hypervisor.add("web1", "", OURS)
    (guest,) = session.observe_all()
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            domain.layers["live"].clear()

    monkeypatch.setattr(time, "sleep", nap)
    session.wait_removed(guest, ("ua-fleet-rng",), 60)
    assert len(naps) == 3
    session.wait_removed(guest, ("ua-fleet-rng",), 60)
    assert len(naps) == 3, "gone already: not even one nap"
    domain.insert("live", ET.fromstring(OURS))
    session.wait_removed(guest, ("ua-fleet-rng",), -1)
    assert len(naps) == 3


def refusal(hypervisor: Any, device: RngDevice) -> str:
    subject = backend.Backend(URI)
    session = subject.session()
    hypervisor.add("web1", "")
    (guest,) = session.observe_all()
    try:
        subject.check(session, guest, device)
    except UnsafeSourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ({}, ""),
        ({"source": "builtin"}, "source builtin: this guest's QEMU knows only random, egd"),
        ({"source": "/dev/zero"}, "source /dev/zero: device 1:5 is no source of randomness"),
    ],
)
def test_check(device: dict[str, Any], why: str, hypervisor: Any) -> None:
    hypervisor.backends = ["random", "egd"]
    assert refusal(hypervisor, RngDevice.from_wire(device)) == why


def test_a_libvirt_that_cannot_tell_what_qemu_knows_is_no_obstacle(
    hypervisor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        backend.codec, "parse_rng_capabilities", lambda xml: (item for item in ()).throw(GuestError("old"))
    )
    assert refusal(hypervisor, RngDevice.from_wire({"source": "builtin"})) == ""


@pytest.mark.parametrize("error", [None, UnsafeSourceError("source /dev/urandom: no")])
def test_a_source_is_checked_once_for_all_guests(
    error: Exception | None, hypervisor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def check(source: Any, user: Any) -> None:
        asked.append((str(source), user))
        if error:
            raise error

    hypervisor.qemu_user = "+64055:+109"
    monkeypatch.setattr(backend, "check_source", check)
    subject = backend.Backend(URI)
    session = subject.session()
    for number in range(3):
        hypervisor.add(f"web{number}", "")
    for guest in session.observe_all():
        with pytest.raises(UnsafeSourceError) if error else contextlib.nullcontext():
            subject.check(session, guest, DEVICE)
    assert asked == [("/dev/urandom", (64055, 109))]


def test_what_qemu_knows_is_asked_once_for_each_kind_of_machine(
    hypervisor: Any, session: backend.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    real = session.connection.domain_capabilities

    def ask(*identity: str) -> str:
        asked.append(identity)
        return real(*identity)

    monkeypatch.setattr(session.connection, "domain_capabilities", ask)
    for number in range(4):
        hypervisor.add(f"web{number}", "", machine="pc-q35-7.2" if number % 2 else "pc-q35-7.1")
    for guest in session.observe_all():
        assert session.known_to_qemu(guest)[1] == ("random", "egd", "builtin")
    assert sorted(identity[2] for identity in asked) == ["pc-q35-7.1", "pc-q35-7.2"]
