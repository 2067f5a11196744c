# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's view over libvirt, and what libvirt says where there is no agent to ask."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.guest_view import GuestOptions
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt import Session
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_agent import FakeAgent
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_libvirt import libvirtError

URI = "qemu:///system"


def look(hypervisor: Any, **guest: Any) -> dict[str, Any]:
    hypervisor.add("web1", "", "", **guest)
    session = Session(URI)
    return session.guest_view(session.observe_all()[0], GuestOptions())


def failing(code: int, domain: list[Any] | None = None, state: str = "") -> Any:
    """An agent whose every call fails; its channel may change meanwhile."""

    def agent(dummy: str) -> str:
        for each in domain or ():
            each.channel = state
        raise libvirtError(code, "Guest agent is not responding: \x1b[2J")

    return agent


def test_a_guest_is_seen(hypervisor: Any) -> None:
    seen = look(hypervisor, agent=FakeAgent())
    assert (seen["status"], seen["rng"]["current"]) == ("seen", "virtio_rng.0")


def test_no_channel_is_not_asked(hypervisor: Any) -> None:
    seen = look(hypervisor)
    assert (seen["status"], seen["why"]) == ("no agent", "it has no channel for an agent (org.qemu.guest_agent.0)")


def test_a_channel_without_an_agent_is_not_asked(hypervisor: Any) -> None:
    agent = FakeAgent()
    hypervisor.add("web1", "", "", agent=agent).channel = "disconnected"
    session = Session(URI)
    seen = session.guest_view(session.observe_all()[0], GuestOptions())
    assert (seen["status"], agent.asked) == ("no agent", [])
    assert "no agent is connected" in seen["why"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (86, "timed out"),
        (68, "timed out"),
        (74, "no agent"),
        (55, "not running"),
        (29, "error"),
        (42, "error"),
    ],
)
def test_what_libvirt_says_of_an_agent(code: int, status: str, hypervisor: Any) -> None:
    seen = look(hypervisor, agent=failing(code))
    assert (seen["status"], seen["rng"]) == (status, None)
    assert seen["why"].isprintable()


def test_an_agent_that_goes_away_meanwhile(hypervisor: Any) -> None:
    domains: list[Any] = []
    domains.append(hypervisor.add("web1", "", "", agent=failing(86, domains, "disconnected")))
    session = Session(URI)
    assert session.guest_view(session.observe_all()[0], GuestOptions())["status"] == "no agent"


@pytest.mark.parametrize("asked_before", [0, 1])
def test_a_guest_that_is_shut_off_meanwhile(asked_before: int, hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "", agent=failing(86))
    session = Session(URI)
    guest = session.observe_all()[0]
    looks = iter(range(9))

    def stop(dummy: Any, *asked: str) -> None:
        if asked[0] == "XMLDesc" and next(looks) == asked_before:
            domain.stop()

    hypervisor.hook = stop
    seen = session.guest_view(guest, GuestOptions())
    assert (seen["status"], seen["why"]) == ("not running", "it was shut off meanwhile")


def test_a_dead_daemon_is_told_to_the_one_who_has_the_connection(hypervisor: Any) -> None:
    hypervisor.add("web1", "", "", agent=FakeAgent())
    session = Session(URI)
    guest = session.observe_all()[0]
    hypervisor.kill()
    with pytest.raises(HypervisorError, match="went away"):
        session.guest_view(guest, GuestOptions())
