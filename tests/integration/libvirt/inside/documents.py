# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints {name: {"config": XML or null, "live": XML or null}} of all domains of a lab host, with their secrets."""

from __future__ import annotations

import json
import sys

import libvirt

libvirt.registerErrorHandler(lambda context, error: None, None)
connection = libvirt.open("qemu:///system")


def document(domain, flags):
    """One document; null when it cannot be had, such as one that is larger than libvirt's messages."""
    try:
        return domain.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_SECURE)
    except libvirt.libvirtError:
        return None


json.dump(
    {
        domain.name(): {
            "config": document(domain, libvirt.VIR_DOMAIN_XML_INACTIVE) if domain.isPersistent() else None,
            "live": document(domain, 0) if domain.isActive() else None,
        }
        for domain in connection.listAllDomains(0)
    },
    sys.stdout,
)
