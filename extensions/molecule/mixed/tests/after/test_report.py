# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report has the guests of all kinds side by side."""

from __future__ import annotations

VERDICTS = {
    "hv8": {"front-hv": "verified", "spare-hv": "off", "theirs-hv": "off"},
    "qm2": {"front-qm": "verified", "spare-qm": "off", "theirs-qm": "off"},
    "pve2": {"front-pve": "waiting", "spare-pve": "off", "theirs-pve": "off"},
    "gnt2": {"front-gnt": "waiting", "spare-gnt": "off", "theirs-gnt": "off"},
}
KINDS = {"hv8": "libvirt", "qm2": "qemu", "pve2": "proxmox", "gnt2": "ganeti"}


def test_every_kind_is_told(report):
    assert {host["hypervisor"]: host["kind"] for host in report("lab/report-mixed").data["hosts"]} == KINDS


def test_verdicts(report):
    told = report("lab/report-mixed")
    found = {
        name: {guest["inventory"]: guest["verdict"] for guest in told.guests(name).values()}
        for name in told.hypervisors
    }
    assert found == VERDICTS
