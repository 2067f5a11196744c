#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe the plain QEMU guests of a host: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qemu_rng_info
version_added: 0.1.0
short_description: Observe the virtio RNGs of all plain QEMU guests of a host
description:
  - Returns which virtio random number generators every QEMU guest of a host has that was started without libvirt or
    another manager, together with an audit of the host's own kernel RNG.
  - It changes nothing. QEMU is asked over its QMP socket, with queries only.
  - On request it also asks the running guests themselves through their QEMU guest agents (O(guest_view)), and
    measures how fast they get bytes (O(measure)). No login and no network is needed.
  - Usually this needs C(become), because the sockets and C(/proc) entries of guests are not for everybody.
extends_documentation_fragment:
  - fleet.rng.qemu
  - fleet.rng.views
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.qemu_rng
  - module: fleet.rng.rng_plan
  - module: fleet.rng.rng_info
"""

EXAMPLES = r"""
- name: Observe the host and its guests
  fleet.rng.qemu_rng_info:
  become: true
  register: observed

- name: Observe the guests behind these sockets only
  fleet.rng.qemu_rng_info:
    processes: false
    sockets: [/run/qemu/*.qmp]

- name: Ask the guests themselves which RNG their kernel uses
  fleet.rng.qemu_rng_info:
    guest_view: true
    host_view: true
"""

RETURN = r"""
host:
  description:
    - The kernel RNG of the host, as RV(fleet.rng.rng_info#module:rng) describes it, and the hypervisor.
  returned: success
  type: dict
  contains:
    hypervisor:
      description: The hypervisor that was asked.
      type: dict
      contains:
        kind:
          description: Always V(qemu).
          type: str
        version:
          description: The versions of the QEMUs that run; V(null) when none could be asked.
          type: str
          sample: 7.2.22
        rng_models:
          description: Always V(null), because each guest may run a QEMU of its own.
          type: list
          elements: str
        rng_backends:
          description: Always V(null), because each guest may run a QEMU of its own.
          type: list
          elements: str
        skipped:
          description: The QEMU processes and sockets that were left out, and why.
          type: list
          elements: str
    sources:
      description:
        - Of each of O(sources) why a guest cannot live on it on this host, or V(null) where it can.
        - Empty when none were asked for.
      type: dict
guests:
  description: All guests, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description:
        - The guest's name, as C(-name) gives it. Without one it is its UUID, else the path of its socket.
        - Any text is possible, do not pass it to a shell or a template.
      type: str
      sample: web1
    uuid:
      description: The guest's UUID. Of a guest without C(-uuid) it is derived from its name.
      type: str
      sample: 1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11
    running:
      description: Whether it runs; a paused guest does.
      type: bool
    persistent:
      description: Whether there is a configuration file that this collection can write.
      type: bool
    arch:
      description: The architecture of the virtual machine.
      type: str
      sample: x86_64
    machine:
      description: The machine type.
      type: str
      sample: pc-q35-7.2
    config:
      description: The virtio RNGs of its next start; V(null) where no configuration file is known.
      type: list
      elements: dict
      contains:
        source:
          description: As O(fleet.rng.qemu_rng#module:devices[].source); null when it cannot be expressed so.
          type: str
          sample: /dev/urandom
        max_bytes:
          description: Bytes per period, or V(unlimited).
          type: raw
          sample: 1024
        period:
          description: Milliseconds.
          type: int
          sample: 1000
        model:
          description: The device model.
          type: str
          sample: virtio
        driver:
          description: The virtio driver options that are switched on.
          type: dict
          sample: {}
        alias:
          description:
            - QEMU's id of it, or its QOM path where it has none. Those of this collection begin with C(ua-fleet-rng).
          type: str
          sample: ua-fleet-rng
        unknown:
          description: Only where RV(guests[].config[].source) is null, what this collection has no words for.
          type: str
    live:
      description: The virtio RNGs that it has now, with the keys of RV(guests[].config); null when it is not running.
      type: list
      elements: dict
    blocked:
      description:
        - Why an RNG could not be added, by C(config) and C(live).
        - Empty when nothing stands in the way.
      type: dict
      sample: {"live": "no free PCIe port (pcie-root-port with an id) to plug an RNG into while it runs"}
    guest_view:
      description:
        - What the guest itself says, with the keys of RV(fleet.rng.libvirt_rng_info#module:guests[].guest_view).
        - V(null) without O(guest_view), and for guests that are not among O(guests).
        - All of it is in the hands of the guest. Texts are shortened, and what is not printable in them is escaped.
      type: dict
      contains:
        status:
          description:
            - As RV(fleet.rng.libvirt_rng_info#module:guests[].guest_view.status).
            - V(timed out) also when another program is connected to the agent's socket.
          type: str
          sample: seen
        why:
          description: What stands behind the status, or V(null).
          type: str
        driver:
          description: Whether the driver for virtio RNGs is there; V(null) where that is not verifiable.
          type: bool
        rng:
          description: The kernel RNG of the guest, as RV(fleet.rng.rng_info#module:rng) describes it, or V(null).
          type: dict
        measured:
          description: What came of O(measure), or V(null).
          type: dict
    host_view:
      description:
        - What the host sees of the guest's QEMU, with the keys of
          RV(fleet.rng.libvirt_rng_info#module:guests[].host_view).
        - V(null) without O(host_view), and for guests that are not among O(guests).
      type: dict
    notes:
      description: What one should know before the guest is changed.
      type: list
      elements: str
    error:
      description: Why the guest could not be read, or null.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu import Backend
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import QEMU_SPEC, parse_options
from ansible_collections.fleet.rng.plugins.module_utils.module.info import run
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC


def main():
    module = AnsibleModule(
        argument_spec={
            "sources": {"type": "list", "elements": "str", "default": []},
            **QEMU_SPEC,
            **VIEWS_SPEC,
        },
        supports_check_mode=True,
    )
    run(module, Backend(parse_options(module.params)))


if __name__ == "__main__":
    main()
