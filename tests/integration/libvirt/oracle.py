# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether everything of a domain outside its RNGs is as it was.

libvirt may add a PCI controller when a device needs one, and makes an existing root port multifunction for it. Both are
counted, not hidden; anything else is a failure.
"""

from __future__ import annotations

import difflib
import xml.etree.ElementTree as ET

ADDED_FOR_A_DEVICE = ("pcie-root-port", "pci-bridge", "pcie-to-pci-bridge", "dmi-to-pci-bridge")


def assert_rest_identical(before: str, after: str, what: str = "") -> int:
    """Fail unless both domain documents are the same outside their RNGs; the number of controllers gained."""
    old, new = ET.fromstring(before), ET.fromstring(after)
    gained = _drop_gained(old, new)
    for root in (old, new):
        devices = root.find("devices")
        assert devices is not None
        for rng in devices.findall("rng"):
            devices.remove(rng)
        if gained:
            for address in devices.iterfind("controller[@model='pcie-root-port']/address"):
                address.attrib.pop("multifunction", None)
    lines = [canonical(root).splitlines() for root in (old, new)]
    diff = difflib.unified_diff(*lines, "before", "after", lineterm="", n=1)
    assert lines[0] == lines[1], "\n".join([what, *diff])
    return gained


def canonical(root: ET.Element) -> str:
    """The same text for the same content, one element per line; ElementTree numbers the prefixes of namespaces."""
    ET.indent(root)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"))


def rngs(xml: str) -> list[str]:
    """The RNGs of a domain document, canonical."""
    return [canonical(rng) for rng in ET.fromstring(xml).iterfind("devices/rng")]


def _drop_gained(old: ET.Element, new: ET.Element) -> int:
    known = {controller.get("index") for controller in old.iterfind("devices/controller[@type='pci']")}
    devices = new.find("devices")
    assert devices is not None
    gained = 0
    for controller in devices.findall("controller[@type='pci']"):
        if controller.get("index") not in known and controller.get("model") in ADDED_FOR_A_DEVICE:
            devices.remove(controller)
            gained += 1
    return gained
