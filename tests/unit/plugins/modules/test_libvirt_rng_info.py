# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observing module from its options to its result, against a libvirt without a daemon."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.transport import libvirt as transport
from ansible_collections.fleet.rng.plugins.modules import libvirt_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_agent import FakeAgent

RNG = "<rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}


@pytest.mark.parametrize("check", [False, True])
def test_it_reads_and_never_writes(check: bool, hypervisor: Any, run_module: Any) -> None:
    hypervisor.writable = False
    off = hypervisor.add("b-off", RNG, None, managed_save=True)
    hypervisor.add("c-transient", None, RNG)
    hypervisor.add("a-running", "", RNG, ports=1)
    result = run_module(libvirt_rng_info.main, check=check)
    assert not result["changed"]
    assert [connection.readonly for connection in hypervisor.connections] == [True]
    assert result["host"]["hypervisor"] == {
        "kind": "libvirt",
        "version": "9.0.0",
        "rng_models": None,
        "rng_backends": None,
    }
    guests = {guest["name"]: guest for guest in result["guests"]}
    assert list(guests) == ["a-running", "b-off", "c-transient"]
    assert guests["b-off"] == {
        "name": "b-off",
        "uuid": off.id,
        "running": False,
        "persistent": True,
        "arch": "x86_64",
        "machine": "pc-q35-7.2",
        "config": [{**DEVICE, "alias": None}],
        "live": None,
        "blocked": {},
        "guest_view": None,
        "host_view": None,
        "notes": ["its managed save image brings the devices of that time back at the next start"],
        "error": None,
    }
    assert guests["a-running"]["config"] == []
    assert guests["a-running"]["live"] == [{**DEVICE, "alias": "rng0"}]
    assert list(guests["a-running"]["blocked"]) == ["live"]
    assert (guests["c-transient"]["persistent"], guests["c-transient"]["config"]) == (False, None)


def test_views(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("a", RNG, RNG, agent=FakeAgent())
    other = hypervisor.add("b", RNG, RNG, agent=FakeAgent())
    hypervisor.add("c", RNG, None)
    hypervisor.add("d", RNG, RNG)
    options = {"guest_view": True, "host_view": True, "guests": ["a", other.id.upper(), "c", "d"], "timeout": 60}
    result = run_module(libvirt_rng_info.main, check=True, **options)
    assert (result["failed"], result["changed"]) == (False, False)
    views = {guest["name"]: guest["guest_view"] for guest in result["guests"]}
    assert {name: view["status"] for name, view in views.items()} == {
        "a": "seen",
        "b": "seen",
        "c": "not running",
        "d": "no agent",
    }
    assert views["a"]["rng"]["current"] == "virtio_rng.0"
    assert [guest["host_view"]["status"] for guest in result["guests"]] == [
        "no process",
        "no process",
        "not running",
        "no process",
    ]
    assert hypervisor.connections[0].readonly, "observing needs no rights"
    assert hypervisor.writes == []


def test_sources(hypervisor: Any, run_module: Any) -> None:
    assert hypervisor.all == {}
    result = run_module(libvirt_rng_info.main, sources=["builtin", "/dev/nosuch"])
    assert result["host"]["sources"] == {
        "builtin": None,
        "/dev/nosuch": "source /dev/nosuch: No such file or directory",
    }


@pytest.mark.parametrize(
    ("options", "msg"),
    [
        ({"measure": {"bytes": 1}}, "measure.bytes: 1 is not valid; allowed: bytes, an integer from 256 to 16777216"),
        (
            {"measure": {}},
            "measure: {'seconds': 5, 'bytes': 65536} is not valid; allowed: only together with guest_view",
        ),
        ({"timeout": 601}, "timeout: 601 is not valid; allowed: seconds, an integer from 1 to 600"),
        ({"sources": ["/dev/../etc/passwd"]}, "source: '/dev/../etc/passwd' is not valid"),
    ],
)
def test_options_that_are_refused(options: Any, msg: str, hypervisor: Any, run_module: Any) -> None:
    result = run_module(libvirt_rng_info.main, **options)
    assert result["failed"]
    assert result["msg"].startswith(msg)
    assert hypervisor.writes == []


def test_no_guests(hypervisor: Any, run_module: Any) -> None:
    assert hypervisor.all == {}
    assert run_module(libvirt_rng_info.main)["guests"] == []


def test_no_binding_for_this_interpreter(run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HAS_LIBVIRT", False)
    result = run_module(libvirt_rng_info.main)
    assert result["failed"]
    assert "has no module libvirt: install python3-libvirt for it, or set ansible_python_interpreter" in result["msg"]
