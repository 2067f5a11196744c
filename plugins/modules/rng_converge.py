#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_converge
version_added: 0.2.0
short_description: Give guests the virtio RNG that they should have, on a hypervisor of any kind
description:
  - Runs the module that changes the guests of a kind of hypervisor, M(fleet.rng.libvirt_rng) or its likes of plain
    QEMU, Proxmox VE and Ganeti. Its result is the result of this task.
  - With C(api_host) of Proxmox VE in O(options) the module runs on the controller, as with M(fleet.rng.rng_observe).
  - C(module_defaults) of that module count for what is not given here.
options:
  kind:
    description: What runs on the host, as C(host.hypervisor.kind) of M(fleet.rng.rng_observe) says.
    type: str
    choices: [libvirt, qemu, proxmox, ganeti]
    required: true
  options:
    description: The options that only one kind has, as O(fleet.rng.rng_observe#module:options).
    type: dict
    default: {}
  devices:
    description: The guests and the device that each is to have, see O(fleet.rng.libvirt_rng#module:devices).
    type: list
    elements: dict
    required: true
  live:
    description: Whether a guest that runs may be changed now, see O(fleet.rng.libvirt_rng#module:live).
    type: bool
    default: true
  exclusive:
    description: Whether other RNGs go away, see O(fleet.rng.libvirt_rng#module:exclusive).
    type: bool
    default: true
  wait:
    description: The seconds that a running guest has to release a device, see O(fleet.rng.libvirt_rng#module:wait).
    type: int
    default: 5
  restart_serial:
    description: How many guests are down for a restart at once, see O(fleet.rng.libvirt_rng#module:restart_serial).
    type: int
    default: 1
  restart_timeout:
    description: The seconds that a guest has to shut down, see O(fleet.rng.libvirt_rng#module:restart_timeout).
    type: int
    default: 300
  restart_force:
    description: Whether force follows, see O(fleet.rng.libvirt_rng#module:restart_force).
    type: bool
    default: false
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.converging_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.libvirt_rng
  - module: fleet.rng.rng_observe
  - module: fleet.rng.rng_plan
"""

EXAMPLES = r"""
- name: Do what a plan says
  fleet.rng.rng_converge:
    kind: "{{ virtio_rng_observation.host.hypervisor.kind }}"
    devices: "{{ virtio_rng_plan.plan.hosts[inventory_hostname].devices }}"
"""

RETURN = r"""
guests:
  description: The outcome of every guest in O(devices), as M(fleet.rng.libvirt_rng) returns it.
  returned: always
  type: list
  elements: dict
"""
