# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that talks to plain QEMU processes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  processes:
    description:
      - Whether to find guests by the QEMU processes of the host. Their command lines tell their QMP sockets (C(-qmp),
        or C(-mon) with C(mode=control)), their names, their agents' sockets and their configuration files.
      - Guests that libvirt, Proxmox VE or Ganeti started are left alone, and RV(host.hypervisor.skipped) of
        M(fleet.rng.qemu_rng_info) says so.
    type: bool
    default: true
  sockets:
    description:
      - Patterns of paths of QMP sockets, such as V(/run/qemu/*.qmp), of guests to look at in addition.
      - A guest that is reached by several sockets is one guest.
    type: list
    elements: str
    default: []
requirements:
  - QEMU 4.2 or later, with a QMP socket for each guest that no other program is connected to, since QEMU serves one
    client per monitor
"""
