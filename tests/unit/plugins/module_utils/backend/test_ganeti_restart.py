# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts of Ganeti's instances, and what keeps them from one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import ganeti as backend
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestDownError, GuestError, TimedOutError
from ansible_collections.fleet.rng.plugins.modules import ganeti_rng
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_ganeti import FakeMaster, outcome, runs_with

RESTART = {"guest": "vm1", "restart": True}


def test_a_restart(master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_with(monkeypatch, master.add("vm1"), "-S")

    def reboot(master: FakeMaster, name: str, seconds: int) -> str:
        runs_with(monkeypatch, master.rows[name], master.own(name)["kvm_extra"])
        master.writes.append((name, seconds))
        return master._submitted()

    monkeypatch.setattr(FakeMaster, "reboot", reboot)
    result = run_module(ganeti_rng.main, devices=[RESTART], restart_force=True, restart_timeout=7)
    assert outcome(result) == (True, "added", "added", None)
    assert master.writes[1:] == [("vm1", 7)]
    result = run_module(ganeti_rng.main, devices=[RESTART], restart_force=True)
    assert outcome(result) == (False, "unchanged", "unchanged", None)


def test_no_restart_where_the_plug_could_be_pulled(
    master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_with(monkeypatch, master.add("vm1"), "-S")
    result = run_module(ganeti_rng.main, devices=[RESTART])
    assert outcome(result) == (True, "added", "needs_restart", None)
    assert "which only restart_force allows" in result["guests"][0]["reason"]
    assert len(master.writes) == 1


@pytest.mark.parametrize("summary", ["INSTANCE_MIGRATE(vm2)", "NODE_EVACUATE(node1)", "BACKUP_EXPORT(vm2)"])
def test_no_restart_beside_what_moves_instances(
    master: FakeMaster, run_module: Any, monkeypatch: pytest.MonkeyPatch, summary: str
) -> None:
    runs_with(monkeypatch, master.add("vm1"), "-S")
    master.moving = ["INSTANCE_SET_PARAMS(vm3)", summary]
    result = run_module(ganeti_rng.main, devices=[RESTART], restart_force=True)
    assert outcome(result) == (True, "added", "needs_restart", None)
    assert f"Ganeti has not ended {summary}" in result["guests"][0]["reason"]
    assert len(master.writes) == 1


def test_one_that_stays_down(master: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    row = master.add("vm1", oper_state=True)
    session = backend.Backend().session()
    (guest,) = session.observe_all()
    master.job = lambda number: [["error", ["no memory"]]]
    with pytest.raises(GuestError, match=r"^Ganeti's job ended as error: no memory$"):
        session.restart(guest, 1, force=True)
    row["oper_state"] = False
    monkeypatch.setattr(FakeMaster, "start", lambda master, name: "JobID: 1")
    with pytest.raises(GuestDownError, match=r"does not start again \(Ganeti's job ended as error: no memory\)"):
        session.restart(guest, 1, force=True)
    master.job = lambda number: [["running", []]]
    monkeypatch.setattr(session._backend.jobs, "_seconds", 0.0)
    monkeypatch.setattr(FakeMaster, "cancel", lambda master, number: [False, "running"])
    with pytest.raises(TimedOutError, match="it goes on"):
        session.restart(guest, 1, force=True)


def test_one_that_is_down_is_started(master: FakeMaster) -> None:
    master.add("vm1")
    session = backend.Backend().session()
    (guest,) = session.observe_all()
    session.restart(guest, 1, force=False)
    assert master.writes == [("start", "vm1")]
