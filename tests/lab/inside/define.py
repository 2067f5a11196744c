# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defines domains in one go: the XML texts come as a JSON list on standard input.

Runs on a lab host, with the distribution's Python (>= 3.8) and its libvirt binding: a virsh for each would take twenty
times as long.
"""

from __future__ import annotations

import json
import sys

import libvirt

connection = libvirt.open("qemu:///system")
for xml in json.load(sys.stdin):
    connection.defineXML(xml)
connection.close()
