# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that talks to libvirt."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  uri:
    description:
      - The libvirt connection URI, local to the host that the module runs on.
      - Always explicit, because libvirt's own default for other users than root is a session without the host's guests.
    type: str
    default: qemu:///system
requirements:
  - python3-libvirt, the libvirt binding for the Python interpreter that runs the module
  - libvirt 6.1 or later for the source V(builtin)
"""
