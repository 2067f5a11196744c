#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge the plain QEMU guests of a host: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qemu_rng
version_added: 0.1.0
short_description: Give plain QEMU guests the virtio RNG that they should have
description:
  - Gives each guest in O(devices) exactly the virtio random number generator asked for. Nothing is restarted.
  - For guests that a unit or a script starts as QEMU processes. Those of libvirt, Proxmox VE and Ganeti are left alone.
  - A guest that runs is changed over its QMP socket. A different RNG is plugged in first, then the old one goes, so
    that the guest always has one. What was behind the old one goes when the guest has released it.
  - Its next start is changed in the file that it reads with C(-readconfig), of which everything else stays byte for
    byte, or in a file of its own (O(config_dir)). A guest without such a file is changed while it runs only, and says
    so.
  - A device is recognized by its content, whoever attached it.
  - All guests are handled side by side. One that fails does not stop the others. The task fails at its end and says
    which guests, of how many, and why.
notes:
  - Guests with a PCI bus (pc, pseries), with a free C(pcie-root-port) that has an id (q35, virt), and those on s390x
    can be given a device while they run. With virtio-mmio (microvm) a change waits for the next start.
  - A device that a command line itself defines (C(-device)) cannot be taken away for the next start. The guest then
    gets an error that says so.
  - Where a root port is free at the next start, the device goes there, so that it can be unplugged later.
  - The ids of what this collection adds begin with C(ua-fleet-rng).
  - A source C(egd+udp) is refused, since QEMU does not tell where such a socket goes.
extends_documentation_fragment:
  - fleet.rng.devices
  - fleet.rng.qemu
  - fleet.rng.attributes
  - fleet.rng.attributes.converging_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.qemu_rng_info
  - module: fleet.rng.rng_plan
"""

EXAMPLES = r"""
- name: Give two guests an RNG of 1 KiB per second
  fleet.rng.qemu_rng:
    devices:
      - guest: web1
      - guest: web2
  become: true

- name: Take the RNG away from a guest behind this socket
  fleet.rng.qemu_rng:
    processes: false
    sockets: [/run/qemu/scratch.qmp]
    devices:
      - guest: scratch
        state: absent

- name: Give it to guests whose units start QEMU with -readconfig /etc/qemu/rng/%i.cfg, whether they run or not
  fleet.rng.qemu_rng:
    config_dir: /etc/qemu/rng
    devices:
      - guest: web1
      - guest: web2

- name: Do what a plan says
  fleet.rng.qemu_rng:
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
        - What happened to the configuration file from which the guest starts.
        - One of V(unchanged), V(added), V(replaced), V(removed), V(not_applicable).
        - V(not_applicable) is a guest that has none.
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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu import Backend
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import QEMU_SPEC, parse_options
from ansible_collections.fleet.rng.plugins.module_utils.module.apply import run
from ansible_collections.fleet.rng.plugins.module_utils.module.arguments import CONVERGE_SPEC


def main():
    module = AnsibleModule(argument_spec={**CONVERGE_SPEC, **QEMU_SPEC}, supports_check_mode=True)
    run(module, Backend(parse_options(module.params)))


if __name__ == "__main__":
    main()
