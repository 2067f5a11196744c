# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to libvirtd: which calls, with which flags, and what its errors become."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport import libvirt as transport
from ansible_collections.fleet.rng.plugins.module_utils.transport.agent import (
    ANSWER_LIMIT,
    GARBAGE,
    NO_AGENT,
    REFUSED,
    TIMED_OUT,
    AgentError,
)
from ansible_collections.fleet.rng.plugins.module_utils.transport.libvirt import (
    Connection,
    ConnectionLostError,
    NotRunningError,
)
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_libvirt import libvirtError

URI = "qemu:///system"
RNG = "<rng model='virtio'><backend model='builtin'/><alias name='ua-x'/></rng>"


def raising(code: int, message: str) -> Any:
    def call(*dummy: object) -> None:
        raise libvirtError(code, message)

    return call


def test_version_and_capabilities(hypervisor: Any) -> None:
    connection = Connection(URI, readonly=True)
    assert connection.version() == "9.0.0"
    assert connection.capabilities().startswith("<capabilities>")
    assert hypervisor.connections[0].readonly


def test_the_list_of_domains(hypervisor: Any) -> None:
    hypervisor.add("off", "", None, managed_save=True)
    hypervisor.add("on", "", "", snapshots=True)
    hypervisor.add("transient", None, "")
    rows = {
        entry.name: (entry.running, entry.persistent, entry.managed_save, entry.snapshots)
        for entry in Connection(URI, readonly=True).domains()
    }
    assert rows == {
        "off": (False, True, True, False),
        "on": (True, True, False, True),
        "transient": (True, False, False, False),
    }


def test_one_domain_again(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "")
    connection = Connection(URI, readonly=True)
    entry = connection.domain(domain.id)
    assert (entry.name, entry.uuid, entry.running) == ("web1", domain.id, True)
    assert connection.is_persistent(entry)


@pytest.mark.parametrize("layer", ["config", "live"])
def test_every_call_names_its_layer(layer: str, hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "")
    connection = Connection(URI, readonly=False)
    entry = connection.domain(domain.id)
    other = "live" if layer == "config" else "config"
    connection.attach(entry, layer, RNG)
    assert "ua-x" in connection.xml(entry, layer)
    assert "ua-x" not in connection.xml(entry, other)
    connection.detach_alias(entry, layer, "ua-x")
    connection.attach(entry, layer, RNG)
    connection.detach_xml(entry, layer, RNG)
    assert domain.layers == {"config": [], "live": []}
    assert hypervisor.writes == [("web1", call, layer) for call in ("attach", "detach", "attach", "detach")]


def test_a_connection_that_only_reads_cannot_write(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "")
    connection = Connection(URI, readonly=True)
    with pytest.raises(GuestError, match=r"^libvirt: operation forbidden for read only access$"):
        connection.attach(connection.domain(domain.id), "live", RNG)
    assert domain.layers["live"] == []


@pytest.mark.parametrize(
    ("code", "message", "kind", "text"),
    [
        (42, "Domain not found", GuestError, "the guest is no longer there"),
        (67, "non unique alias detected: ua-x", GuestError, "libvirt: non unique alias detected: ua-x"),
        (1, "\x1b[2Jboo\u202e", GuestError, r"libvirt: \x1b[2Jboo\u202e"),
        (
            68,
            "cannot acquire state change lock",
            TimedOutError,
            "QEMU did not answer, the outcome is unknown; run again later (cannot acquire state change lock)",
        ),
    ],
)
def test_errors_about_a_guest(code: int, message: str, kind: type[Exception], text: str, hypervisor: Any) -> None:
    connection = Connection(URI, readonly=True)
    with pytest.raises(kind) as caught:
        connection.ask(raising(code, message))
    assert (type(caught.value), str(caught.value)) == (kind, text)
    assert hypervisor.connections[0].alive


def test_a_long_error_is_cut(hypervisor: Any) -> None:
    assert hypervisor.all == {}
    with pytest.raises(GuestError) as caught:
        Connection(URI, readonly=True).ask(raising(1, "x" * 10_000_000))
    assert len(str(caught.value)) < 500


def test_a_lost_connection_is_no_guests_fault(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "")
    connection = Connection(URI, readonly=False)
    entry = connection.domain(domain.id)
    hypervisor.kill()
    with pytest.raises(ConnectionLostError, match=r"^libvirt at qemu:///system went away: Cannot recv data"):
        connection.attach(entry, "live", RNG)


@pytest.mark.parametrize(("readonly", "way"), [(True, "reading"), (False, "writing")])
def test_nobody_answers(readonly: bool, way: str, hypervisor: Any) -> None:
    hypervisor.down = 1
    with pytest.raises(HypervisorError, match=f"^cannot open qemu:///system for {way}: Failed to connect"):
        Connection(URI, readonly)


@pytest.mark.usefixtures("hypervisor")
def test_a_uri_that_libvirt_does_not_know_is_no_matter_of_rights() -> None:
    with pytest.raises(HypervisorError) as caught:
        Connection("qemu:///nonsense", readonly=True)
    assert "unexpected qemu URI path" in str(caught.value)
    assert "become" not in str(caught.value)


def test_no_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HAS_LIBVIRT", False)
    with pytest.raises(HypervisorError, match="install python3-libvirt for it"):
        Connection(URI, readonly=True)


def test_commands_for_the_agent_and_for_qemu(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "", agent=lambda command: f"agent {command}", monitor=lambda c: f"qemu {c}")
    connection = Connection(URI, readonly=False)
    entry = connection.domain(domain.id)
    assert connection.agent(entry, "a", 0.1) == "agent a"
    assert connection.monitor(entry, "m", 5) == "qemu m"


@pytest.mark.parametrize(
    ("code", "kind"), [(74, NO_AGENT), (86, TIMED_OUT), (68, TIMED_OUT), (97, TIMED_OUT), (1, REFUSED), (39, GARBAGE)]
)
def test_errors_of_the_agent(code: int, kind: str, hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "", agent=raising(code, "\x1b[2J" + "x" * 10_000_000))
    connection = Connection(URI, readonly=False)
    with pytest.raises(AgentError) as caught:
        connection.agent(connection.domain(domain.id), "{}", 5)
    assert caught.value.kind == kind
    assert "\\x1b[2J" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_other_errors_while_the_agent_is_asked(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "", agent=lambda command: command)
    connection = Connection(URI, readonly=False)
    entry = connection.domain(domain.id)
    domain.stop()
    with pytest.raises(NotRunningError, match="domain is not running"):
        connection.agent(entry, "{}", 5)
    hypervisor.kill()
    with pytest.raises(ConnectionLostError):
        connection.agent(entry, "{}", 5)


def test_an_endless_answer_of_qemu(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "", monitor=lambda dummy: "x" * (ANSWER_LIMIT + 1))
    connection = Connection(URI, readonly=False)
    with pytest.raises(GuestError, match=r"^QEMU answered 1048577 characters"):
        connection.monitor(connection.domain(domain.id), "{}", 5)


def test_a_refusal_of_the_monitor(hypervisor: Any) -> None:
    domain = hypervisor.add("web1", "", "")
    connection = Connection(URI, readonly=True)
    with pytest.raises(GuestError, match="forbidden for read only access"):
        connection.monitor(connection.domain(domain.id), "{}", 5)


def test_a_monitor_that_hangs_is_given_up(hypervisor: Any) -> None:
    release = threading.Event()
    domain = hypervisor.add("web1", "", "", monitor=lambda dummy: str(release.wait(30)))
    connection = Connection(URI, readonly=False)
    with pytest.raises(TimedOutError, match=r"^no answer within 0\.1 seconds while asking QEMU$"):
        connection.monitor(connection.domain(domain.id), "{}", 0.1)
    release.set()
