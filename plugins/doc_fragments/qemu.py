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
      - Guests that libvirt, Proxmox VE or Ganeti started are left alone, and
        RV(fleet.rng.qemu_rng_info#module:host.hypervisor.skipped) says so.
    type: bool
    default: true
  sockets:
    description:
      - Patterns of paths of QMP sockets, such as V(/run/qemu/*.qmp), of guests to look at in addition.
      - A guest that is reached by several sockets is one guest.
    type: list
    elements: str
    default: []
  configs:
    description:
      - The configuration files (C(-readconfig)) of guests, by their names. Without an entry here it is the file that
        the command line of the running guest names. Of several it is the last, or the one that has an RNG of this
        collection.
      - A guest that is not running is known by this option or O(config_dir) only.
    type: dict
    default: {}
  config_dir:
    description:
      - A directory with a file C(<name>.cfg) for each guest that has no other configuration file. It holds nothing but
        the RNG, and is read by the guest when its start command has C(-readconfig <config_dir>/<name>.cfg).
      - A file is made when a guest gets its first RNG. It stays, empty, when the RNG is taken away, since QEMU does not
        start without a file that it is to read.
      - Every such file is a guest, whether it runs or not.
    type: path
  config_roots:
    description:
      - Directories below which configuration files may be read and written that belong to another user than the process
        that names them. A process can name any file. Those of processes that run as root are trusted.
      - Other files that a process names are only read where everybody may read them. Where one is not read, the
        configuration of the guest is not known, and RV(fleet.rng.qemu_rng_info#module:guests[].notes) says why.
    type: list
    elements: path
    default: [/etc/qemu]
requirements:
  - QEMU 4.2 or later, with a QMP socket for each guest that no other program is connected to, since QEMU serves one
    client per monitor
"""
