# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of instances, here and on other nodes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import ganeti_views, qemu_views
from ansible_collections.fleet.rng.plugins.module_utils.backend.guest_view import GuestOptions
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_guests import Entry
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest
from ansible_collections.fleet.rng.plugins.modules import ganeti_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_ganeti import FakeMaster

UUID = "00000000-0000-0000-0000-000000000001"
CTRL = "/var/run/ganeti/kvm-hypervisor/ctrl/vm1"
LINE = (
    f"/usr/bin/qemu-system-x86_64 -name vm1 -monitor unix:{CTRL}.monitor,server,nowait -uuid {UUID} "
    f"-chardev socket,path={CTRL}.qga,server,nowait,id=qga0 -device virtio-serial,id=qga0 "
    "-device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0 "
    f"-qmp unix:{CTRL}.qmp,server,nowait -qmp unix:{CTRL}.kvmd,server,nowait -S"
).split()
HERE = ObservedGuest("vm1", UUID, running=True, live=())
AWAY = ObservedGuest("vm1", UUID, running=True)
OFF = ObservedGuest("vm1", UUID)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the views of plain QEMUs."""
    asked: list[Any] = []

    def view(entry: Entry, *options: Any) -> dict[str, Any]:
        asked.append((entry, *options))
        return {"status": "seen", "why": None}

    monkeypatch.setattr(qemu_views, "guest_view", view)
    monkeypatch.setattr(qemu_views, "host_view", view)
    monkeypatch.setattr(ganeti_views, "command_line", lambda pid: LINE if pid == 77 else [])
    return asked


def test_one_that_runs_here(seen: list[Any]) -> None:
    options = GuestOptions()
    assert ganeti_views.guest_view(HERE, {UUID: 77}, options)["status"] == "seen"
    assert ganeti_views.host_view(HERE, {UUID: 77}, True)["status"] == "seen"
    (entry, dummy_guest, given), (same, dummy, monitor) = seen
    assert entry == same
    assert (entry.pid, entry.words.agent, given, monitor) == (77, f"{CTRL}.qga", options, True)
    assert entry.sockets == (f"{CTRL}.qmp", f"{CTRL}.kvmd")


@pytest.mark.parametrize("processes", [{}, {UUID: 0}, {UUID: 78}])
def test_one_that_is_not_to_be_seen(seen: list[Any], processes: dict[str, int]) -> None:
    found = ganeti_views.guest_view(AWAY, processes, GuestOptions())
    assert (found["status"], found["why"]) == ("error", ganeti_views._ELSEWHERE)
    found = ganeti_views.host_view(AWAY, processes, True)
    assert (found["status"], found["why"]) == ("no process", ganeti_views._ELSEWHERE)
    assert [asked[2] for asked in seen] == [False], "no monitor is looked for"


def test_one_that_is_off() -> None:
    assert ganeti_views.guest_view(OFF, {UUID: 77}, GuestOptions())["status"] == "not running"
    assert ganeti_views.host_view(OFF, {UUID: 77}, True)["status"] == "not running"


def test_views_are_asked_for(master: FakeMaster, run_module: Any) -> None:
    master.add("vm1", "-S", oper_state=True)
    (guest,) = run_module(ganeti_rng_info.main)["guests"]
    assert guest["guest_view"] is guest["host_view"] is None
    (guest,) = run_module(ganeti_rng_info.main, guest_view=True, host_view=True)["guests"]
    assert (guest["guest_view"]["status"], guest["host_view"]["status"]) == ("error", "no process")
