#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge the guests of one libvirt URI: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_rng
version_added: 0.1.0
short_description: Give libvirt guests the virtio RNG that they should have
description:
  - Gives each guest in O(devices) exactly the virtio random number generator asked for, in its configuration and, if
    it runs, at once. Nothing is restarted, except where O(devices[].restart) allows it.
  - Only what differs is changed, by device calls. No domain XML is written, so everything else of a guest, its
    passwords, and what another administrator changes at the same time stay as they are.
  - libvirt cannot update an RNG. A different one is attached first, then the old one goes. The guest always has one.
  - A device is recognized by its content, whoever attached it.
  - All guests are handled side by side. One that fails does not stop the others. The task fails at its end and says
    which guests, of how many, and why.
notes:
  - An RNG that somebody else attaches during the run is left alone, and the guest gets an error that says so. The next
    run decides about it.
  - libvirt may add a PCIe root port to a configuration when it needs one for the device. It stays when the device goes.
  - The rate is limited to 4294967295 bytes per period, because libvirt keeps it in 32 bits.
extends_documentation_fragment:
  - fleet.rng.devices
  - fleet.rng.libvirt
  - fleet.rng.attributes
  - fleet.rng.attributes.converging_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.libvirt_rng_info
  - module: fleet.rng.rng_plan
  - name: libvirt domain XML, random number generator device
    description: The element that describes the device.
    link: https://libvirt.org/formatdomain.html#random-number-generator-device
"""

EXAMPLES = r"""
- name: Give two guests an RNG of 1 KiB per second
  fleet.rng.libvirt_rng:
    devices:
      - guest: web1
      - guest: web2

- name: Raise one guest to 16 KiB per second while it runs, and take the RNG away from another
  fleet.rng.libvirt_rng:
    devices:
      - guest: vault
        source: /dev/random
        max_bytes: 16384
        period: 1000
      - guest: scratch
        state: absent

- name: Serve a guest from an EGD daemon, from its next start on
  fleet.rng.libvirt_rng:
    devices:
      - guest: ca
        source: egd+unix:/run/egd.sock
        max_bytes: unlimited
    live: false

- name: Do what a plan says
  fleet.rng.libvirt_rng:
    devices: "{{ planned.plan.hosts[inventory_hostname].devices }}"
"""

RETURN = r"""
guests:
  description: The outcome of every guest in O(devices), in that order.
  returned: always
  type: list
  elements: dict
  contains:
    guest:
      description: The guest as O(devices[].guest) names it.
      type: str
    changed:
      description: Whether the guest was changed, or would be in check mode.
      type: bool
    config:
      description:
        - What happened to the configuration, from which the guest starts.
        - One of V(unchanged), V(added), V(replaced), V(removed), V(not_applicable).
        - V(not_applicable) is a guest that has none, because it is transient.
      type: str
      sample: replaced
    live:
      description:
        - What happened to the guest that runs.
        - One of V(unchanged), V(added), V(replaced), V(removed), V(needs_restart), V(pending_removal),
          V(not_applicable).
        - V(needs_restart) means that the change waits for the next start, for the RV(guests[].reason) given.
        - V(pending_removal) means that the guest has not released the old device yet.
        - V(not_applicable) is a guest that does not run.
      type: str
      sample: replaced
    reason:
      description: What was found and what became of it. A guest that is left as it is says why.
      type: str
      sample: /dev/urandom, 1024 B / 1000 ms -> /dev/urandom, 4096 B / 1000 ms
    error:
      description: Why the guest could not be given what was asked, or null.
      type: str
      sample: "source /dev/hwrng: the kernel of this host has no hardware RNG selected (rng_current)"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt import Backend
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt_observer import DEFAULT_URI
from ansible_collections.fleet.rng.plugins.module_utils.module.apply import run
from ansible_collections.fleet.rng.plugins.module_utils.module.arguments import CONVERGE_SPEC


def main():
    module = AnsibleModule(
        argument_spec={**CONVERGE_SPEC, "uri": {"type": "str", "default": DEFAULT_URI}},
        supports_check_mode=True,
    )
    run(module, Backend(module.params["uri"]))


if __name__ == "__main__":
    main()
