# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain documents that are hard to read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from integration.libvirt.hypervisor import Hypervisor
from lab import Guest

LIMIT = 4 * 1024 * 1024  # the longest string in a message of libvirt's protocol
DOCTYPE = '<!DOCTYPE domain [<!ENTITY boom SYSTEM "file:///etc/passwd">]>&boom;'


def describe(hv: Hypervisor, guest: Guest, text: str) -> None:
    """Give a guest's definition a description."""
    root = ET.fromstring(hv.host.virsh("dumpxml", "--inactive", guest.uuid))
    for old in root.findall("description"):
        root.remove(old)
    ET.SubElement(root, "description").text = text
    hv.host.define(ET.tostring(root, encoding="unicode"))


def test_doctype_in_the_metadata_is_just_text(hv: Hypervisor, other: Guest) -> None:
    describe(hv, other, DOCTYPE)
    assert hv.cycle([{"guest": other.name}]).statuses(other.name) == ("added", "not_applicable")
    assert escape(DOCTYPE) in (hv.documents()[other.name]["config"] or "").replace("&quot;", '"')


@pytest.mark.parametrize("spare", [20000, 60], ids=["room_for_the_device", "no_room_for_the_device"])
def test_nearly_four_mib_of_xml(spare: int, hv: Hypervisor, other: Guest) -> None:
    giant = hv.define("giant", firmware_only=True)
    describe(hv, giant, "x")
    size = len((hv.documents()["giant"]["config"] or "").encode())
    describe(hv, giant, "x" * (LIMIT - size - spare))
    devices = [{"guest": "giant"}, {"guest": other.name}]
    cycle = hv.cycle(devices)
    assert cycle.statuses(other.name) == ("added", "not_applicable")
    if spare > 1000:
        assert cycle.statuses("giant") == ("added", "not_applicable")
    else:
        assert "no room for a device" in cycle.applied.guest("giant")["error"]
        assert hv.counts("giant") == (0, None)
