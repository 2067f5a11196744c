# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare libvirt calls in one process, as fast as Python does them: what the module is compared with.

    bare.py attach|attach-carefully|detach CONNECTIONS       on a lab host, with the distribution's Python

``attach`` gives every guest an RNG in its config, without a look at what is there; ``attach-carefully`` reads the guest
before and after, as the module does; ``detach`` takes them all away.
"""

from __future__ import annotations

import sys
import threading
import xml.etree.ElementTree as ET

import libvirt

RNG = """<rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"""


def attach(domain: libvirt.virDomain) -> None:
    domain.attachDeviceFlags(RNG, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def attach_carefully(domain: libvirt.virDomain) -> None:
    domain.XMLDesc()
    attach(domain)
    domain.XMLDesc()


def detach(domain: libvirt.virDomain) -> None:
    for rng in ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).iterfind("devices/rng"):
        domain.detachDeviceFlags(ET.tostring(rng, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def main() -> None:
    work = {"attach": attach, "attach-carefully": attach_carefully, "detach": detach}[sys.argv[1]]
    connections = int(sys.argv[2])
    names = [domain.name() for domain in libvirt.openReadOnly("qemu:///system").listAllDomains()]

    def work_on(share: list[str]) -> None:
        connection = libvirt.open("qemu:///system")
        for name in share:
            work(connection.lookupByName(name))

    threads = [threading.Thread(target=work_on, args=(names[start::connections],)) for start in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
