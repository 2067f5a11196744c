# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defines what can be defined of a JSON list of domain documents; prints the JSON list of their names.

Each is defined twice, the second time from what libvirt made of the first: after that it no longer changes by itself.
"""

from __future__ import annotations

import json
import sys

import libvirt

libvirt.registerErrorHandler(lambda context, error: None, None)
connection = libvirt.open("qemu:///system")
FLAGS = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
names = []
for xml in json.load(sys.stdin):
    try:
        domain = connection.defineXML(xml)
        names.append(connection.defineXML(domain.XMLDesc(FLAGS)).name())
    except libvirt.libvirtError as error:
        print(error, file=sys.stderr)
json.dump(names, sys.stdout)
