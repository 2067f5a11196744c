#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe the guests of one libvirt URI: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_rng_info
version_added: 0.1.0
short_description: Observe the virtio RNGs of all libvirt guests of a host
description:
  - Returns which virtio random number generators every guest of a libvirt host has, in its configuration and while it
    runs, together with an audit of the host's own kernel RNG.
  - It opens a read-only connection, changes nothing, and takes one module run however many guests there are.
  - Guests of other users' sessions are not seen. libvirt shows all guests of a system URI to everybody who may read it.
extends_documentation_fragment:
  - fleet.rng.libvirt
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.libvirt_rng
  - module: fleet.rng.rng_plan
  - module: fleet.rng.rng_info
"""

EXAMPLES = r"""
- name: Observe the hypervisor and its guests
  fleet.rng.libvirt_rng_info:
  register: observed

- name: Name the running guests that have no RNG
  ansible.builtin.debug:
    msg: "{{ observed.guests | selectattr('live', 'equalto', []) | map(attribute='name') }}"

- name: Say what is wrong with the host's own RNG
  ansible.builtin.debug:
    msg: "{{ observed.host.findings | map(attribute='message') }}"
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
          description: Always V(libvirt).
          type: str
        version:
          description: The version of the libvirt daemon.
          type: str
          sample: 9.0.0
        rng_models:
          description: The models that QEMU knows; null, because libvirt does not tell a read-only connection.
          type: list
          elements: str
        rng_backends:
          description: The backends that QEMU knows; null, because libvirt does not tell a read-only connection.
          type: list
          elements: str
guests:
  description: All guests, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The guest's name. Any text is possible, do not pass it to a shell or a template.
      type: str
      sample: web1
    uuid:
      description: The guest's UUID.
      type: str
      sample: 1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11
    running:
      description: Whether it runs; a paused guest does.
      type: bool
    persistent:
      description: Whether it has a configuration that outlives it.
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
      description: The virtio RNGs of its configuration; null for a transient guest.
      type: list
      elements: dict
      contains:
        source:
          description: As O(fleet.rng.libvirt_rng#module:devices[].source); null when it cannot be expressed so.
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
          description: The virtio driver options that are set.
          type: dict
          sample: {}
        alias:
          description: libvirt's name of it, or null. Those that this collection attached begin with C(ua-fleet-rng).
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
      sample: {"live": "no free PCIe port (pcie-root-port) to plug an RNG into while it runs"}
    guest_view:
      description: What the guest itself says; null, since it is not asked.
      type: dict
    notes:
      description: What one should know before the guest is changed, such as a managed save image.
      type: list
      elements: str
    error:
      description: Why the guest could not be read, or null.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt import DEFAULT_URI, Backend
from ansible_collections.fleet.rng.plugins.module_utils.module.info import run


def main():
    module = AnsibleModule(
        argument_spec={"uri": {"type": "str", "default": DEFAULT_URI}},
        supports_check_mode=True,
    )
    run(module, Backend(module.params["uri"]))


if __name__ == "__main__":
    main()
