# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at once, and an administrator who works on the same guests meanwhile."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

from integration.libvirt.hypervisor import PYTHON, Hypervisor, Outcome
from lab import Guest
from lab.process import PATIENCE

BUSY_ADMIN = (Path(__file__).parent / "inside" / "busy_admin.py").read_text()
NOTE = "metadata/{urn:admin}note"


def test_two_runs_at_once_make_one_device(hv: Hypervisor, runner: Guest) -> None:
    names = [f"guest{number}" for number in range(10)]
    for name in names:
        hv.define(name, firmware_only=True)
    names.append(runner.name)
    before = hv.documents()
    for max_bytes in (1024, 2048, 4096, 8192):
        devices = [{"guest": name, "max_bytes": max_bytes} for name in names]
        runs = [hv.start_module(devices, wait=60) for dummy in range(2)]
        ended = [Outcome(json.loads(run.communicate(timeout=PATIENCE)[0])) for run in runs]
        assert [run.result["guests"] for run in ended if run.failed] == []
        assert not hv.module(devices).changed
        for name in names:
            config, live = hv.counts(name)
            assert (config, live) == (1, 1 if name == runner.name else None), name
    hv.assert_rest_identical(before)


def test_two_runs_at_once_that_want_different_rates(hv: Hypervisor, runner: Guest) -> None:
    """Nobody can say which one wins; there is never a guest without an RNG, and a third run ends the argument."""
    hv.module([{"guest": runner.name}])
    runs = [hv.start_module([{"guest": runner.name, "max_bytes": rate}], wait=20) for rate in (2048, 4096)]
    seen = set()
    while any(run.poll() is None for run in runs):
        seen.add(hv.counts(runner.name))
    for run in runs:
        run.communicate()
    assert all(all(counts) for counts in seen)
    wanted = [{"guest": runner.name, "max_bytes": 8192}]
    assert not hv.module(wanted, wait=60).failed
    assert hv.counts(runner.name) == (1, 1)
    assert not hv.module(wanted).changed


def test_another_administrator_loses_nothing(hv: Hypervisor) -> None:
    names = ["edited1", "edited2", "edited3"]
    guests = [hv.define(name, firmware_only=True) for name in names]
    command = hv.host.command(PYTHON, "-c", BUSY_ADMIN, *(guest.uuid for guest in guests))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as admin:
        assert admin.stdout is not None
        assert admin.stdout.readline() == "busy\n"
        for max_bytes in (1024, 2048, 4096, 8192, 16384):
            done = hv.module([{"guest": name, "max_bytes": max_bytes} for name in names])
            assert not done.failed, done.result
        made = json.loads(admin.communicate("stop")[0])
    assert {len(work["channels"]) for work in made.values()} == {20}
    documents = hv.documents()
    for guest in guests:
        root = ET.fromstring(documents[guest.name]["config"] or "")
        note, work = root.find(NOTE), made[guest.uuid]
        assert note is not None
        assert note.get("number") == work["note"]
        assert set(work["channels"]) <= {target.get("name") for target in root.iterfind("devices/channel/target")}
        assert hv.counts(guest.name) == (1, None)


def test_device_attached_by_another_between_observation_and_change(hv: Hypervisor) -> None:
    guest = hv.define("contested", firmware_only=True)
    hv.host.write("/run/foreign.xml", "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>")
    attach = f"virsh attach-device {guest.uuid} /run/foreign.xml --config"
    contested = hv.module([{"guest": "contested"}], between=attach).guest("contested")
    assert contested["error"] == "somebody else changed it meanwhile; run again"
    assert contested["config"] == "added"
    assert hv.counts("contested") == (2, None)
    assert hv.module([{"guest": "contested"}]).statuses("contested") == ("replaced", "not_applicable")
    assert hv.counts("contested") == (1, None)
    assert not hv.module([{"guest": "contested"}]).changed
