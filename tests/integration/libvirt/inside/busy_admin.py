# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another administrator: until its input ends, changes guests by metadata and devices; prints what must be there then.

Arguments: UUIDs of guests that are off. Output: {UUID: {"note": the last note, "channels": [names of channels]}}.
"""

from __future__ import annotations

import json
import select
import sys

import libvirt

libvirt.registerErrorHandler(lambda context, error: None, None)
CHANNEL = "<channel type='null'><target type='virtio' name='{}'/></channel>"
CHANNELS = 20
connection = libvirt.open("qemu:///system")
made = {uuid: {"note": "", "channels": []} for uuid in sys.argv[1:]}
print("busy", flush=True)
number = 0
while number < CHANNELS or not select.select([sys.stdin], [], [], 0)[0]:
    number += 1
    for uuid, done in made.items():
        domain = connection.lookupByUUIDString(uuid)
        note = f"<note number='{number}'/>"
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, note, "admin", "urn:admin", libvirt.VIR_DOMAIN_AFFECT_CONFIG
        )
        done["note"] = str(number)
        if number <= CHANNELS:
            name = f"org.example.{number}"
            domain.attachDeviceFlags(CHANNEL.format(name), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            done["channels"].append(name)
json.dump(made, sys.stdout)
