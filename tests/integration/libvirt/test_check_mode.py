# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode writes nothing, not a byte of libvirt's files, and says exactly what the real run then does."""

from __future__ import annotations

from integration.libvirt.hypervisor import Hypervisor, essence, task
from lab import Guest

FOREIGN = "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"
DEVICES = [
    {"guest": "off"},
    {"guest": "off-foreign", "max_bytes": 4096},
    {"guest": "off-absent", "state": "absent"},
    {"guest": "off-none", "state": "absent"},
    {"guest": "firmware", "source": "builtin"},
    {"guest": "refused", "source": "/dev/null"},
    {"guest": "runner", "period": 500},
    {"guest": "pc", "max_bytes": "unlimited"},
    {"guest": "noslot"},
    {"guest": "nobody"},
]
FILES = "find /etc/libvirt /run/libvirt/qemu /var/lib/libvirt -type f -print0 | sort -z | xargs -0 sha256sum"


def test_predicts_what_apply_does_and_writes_nothing(hv: Hypervisor, runner: Guest, pc: Guest, noslot: Guest) -> None:
    for name in ("off", "refused", "off-none"):
        hv.define(name, firmware_only=True)
    for name in ("off-foreign", "off-absent"):
        hv.define(name, firmware_only=True, rng=FOREIGN)
    for guest in (runner, pc, noslot):
        hv.survives(guest)  # so that no agent connects meanwhile, which libvirt notes in its state files
    before, files = hv.documents(), hv.host.check("sh", "-c", FILES)
    predicted = hv.play({**task(DEVICES), "check_mode": True, "diff": True})[0]
    assert hv.host.check("sh", "-c", FILES) == files
    assert hv.documents() == before
    applied = hv.play({**task(DEVICES), "diff": True})[0]
    assert essence(predicted) == essence(applied)
    assert predicted.result["diff"] == applied.result["diff"]
    assert predicted.msg == applied.msg
    hv.assert_rest_identical(before)
    assert hv.host.check("sh", "-c", FILES) != files
    again = hv.play({**task(DEVICES), "diff": True})[0]
    assert not again.changed
    assert again.result["diff"] == []
    hv.module([{"guest": "firmware", "state": "absent"}], wait=0)
    hv.lab.guest("firmware").destroy()
    hv.lab.guest("firmware").start()
