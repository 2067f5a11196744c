#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_observe
version_added: 0.2.0
short_description: Observe the virtio RNGs of all guests of a hypervisor, whatever kind it is
description:
  - Finds out what runs on a host, and runs the module that observes it, M(fleet.rng.libvirt_rng_info) or its likes of
    plain QEMU, Proxmox VE and Ganeti. Its result is the result of this task.
  - Finding out costs one command of the shell and no module. With O(kind) given it is not asked.
  - Nothing is changed.
  - C(module_defaults) of that module count for what is not given here.
  - Where the task has C(become), it is used only if it is needed, which is on kinds other than libvirt, and with
    O(sources), O(guest_view) or O(host_view).
  - With C(api_host) of Proxmox VE in O(options) the module runs on the controller, without become, and the host needs
    no connection. O(kind=auto) then means V(proxmox). A task that is delegated runs where it is delegated to.
options:
  kind:
    description:
      - What runs on the host.
      - V(auto) tells it by what is there, V(libvirt) by its sockets, V(proxmox) by the command C(pvesh), V(ganeti) by
        C(/var/lib/ganeti/ssconf_cluster_name). Where none of these is there, an installed libvirt or Ganeti counts.
      - V(auto) means V(qemu) only where none of the others is there and QEMU processes run, since the others run QEMU,
        too. A host for plain QEMU where no guest runs is not recognized, nor is a plain QEMU guest beside libvirt.
      - Several kinds at once are an error that names them.
    type: str
    choices: [auto, libvirt, qemu, proxmox, ganeti]
    default: auto
  options:
    description:
      - >-
        The options that only one kind has, as mappings by kind, such as
        C({libvirt: {uri: "qemu:///system"}, qemu: {sockets: ["/run/qemu/*.qmp"]}}).
      - Those of the kind that runs on the host reach its module, where they are documented. Others are not used.
    type: dict
    default: {}
  sources:
    description: Sources to try on the host, see O(fleet.rng.libvirt_rng_info#module:sources).
    type: list
    elements: str
    default: []
  guest_view:
    description: Ask the running guests' QEMU agents, see O(fleet.rng.libvirt_rng_info#module:guest_view).
    type: bool
    default: false
  guest_exec:
    description: The agent may run a script in the guest, see O(fleet.rng.libvirt_rng_info#module:guest_exec).
    type: bool
    default: false
  host_view:
    description: Look at what QEMU processes have open, see O(fleet.rng.libvirt_rng_info#module:host_view).
    type: bool
    default: false
  monitor:
    description: Ask QEMU itself, too, see O(fleet.rng.libvirt_rng_info#module:monitor).
    type: bool
    default: false
  measure:
    description: Measure the rate in the guests, see O(fleet.rng.libvirt_rng_info#module:measure).
    type: dict
  guests:
    description: The guests that views are limited to, see O(fleet.rng.libvirt_rng_info#module:guests).
    type: list
    elements: str
  timeout:
    description: The seconds that one guest's agent may take, see O(fleet.rng.libvirt_rng_info#module:timeout).
    type: int
    default: 10
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.libvirt_rng_info
  - module: fleet.rng.rng_converge
  - module: fleet.rng.rng_plan
"""

EXAMPLES = r"""
- name: Observe hypervisors of all kinds
  fleet.rng.rng_observe:
    options:
      qemu:
        sockets: [/run/qemu/*.qmp]
  register: virtio_rng_observation
"""

RETURN = r"""
host:
  description: As M(fleet.rng.libvirt_rng_info) returns it. Its C(hypervisor.kind) is what was found on the host.
  returned: success
  type: dict
guests:
  description: As M(fleet.rng.libvirt_rng_info) returns them.
  returned: success
  type: list
  elements: dict
"""
