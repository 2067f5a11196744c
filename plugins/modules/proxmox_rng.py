#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge the guests of one Proxmox VE node: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proxmox_rng
version_added: 0.1.0
short_description: Give guests of a Proxmox VE node the virtio RNG that they should have
description:
  - Gives each guest in O(devices) the virtio random number generator asked for, as C(rng0) of its configuration,
    through the API of Proxmox VE, by the node's own command C(pvesh) or over HTTPS (O(api_host)). No file is
    written. Nothing is restarted unless O(devices[].restart) allows it.
  - A guest has at most one RNG there, and none can be plugged while it runs. A change of a running guest is pending
    until it is shut down and started again, so RV(guests[].live) is V(needs_restart). A reboot from inside is not
    enough.
  - Values are compared, not texts. A device that is there in other words, such as without its defaults, is left as
    it is.
  - Every change names the state of the configuration that it is based on. When somebody else changes the same guest
    meanwhile, it is looked at and decided again, and nothing of theirs is lost.
  - All guests are handled side by side. One that fails does not stop the others. The task fails at its end and says
    which guests, of how many, and why.
notes:
  - Runs on the node, as root, or with O(api_host) anywhere, for the guests that the node has. Containers (LXC) have no
    RNG and are not guests here.
  - The sources are V(/dev/urandom), V(/dev/random) and V(/dev/hwrng). There are no driver options, and no model but
    V(virtio).
  - What this module writes it recognizes by the order of its keys, C(source=...,period=...,max_bytes=...). Proxmox
    VE itself and its web interface write C(max_bytes) first, so a device that somebody edits there is theirs from
    then on. With O(exclusive=false) only our own is changed or removed, and a guest with a different one of others
    is refused.
  - V(unlimited) is C(max_bytes=0) there.
  - A restart shuts the guest down and starts it. It is not done while the guest is paused or managed by HA, and not
    while any guest of the node is locked.
  - A guest that is locked (backup, migration, snapshot and others) is refused if something would change. Templates
    are left alone.
  - O(devices[].guest) may be a name, a VMID or a UUID, which is that of the SMBIOS. A name that several guests of the
    node have is refused, and the error names their VMIDs.
extends_documentation_fragment:
  - fleet.rng.devices
  - fleet.rng.proxmox
  - fleet.rng.attributes
  - fleet.rng.attributes.converging_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.proxmox_rng_info
  - module: fleet.rng.rng_plan
  - name: Proxmox VE API, configuration of a virtual machine
    description: The option rng0.
    link: https://pve.proxmox.com/pve-docs/api-viewer/index.html#/nodes/{node}/qemu/{vmid}/config
"""

EXAMPLES = r"""
- name: Give two guests an RNG of 1 KiB per second
  fleet.rng.proxmox_rng:
    devices:
      - guest: web1
      - guest: "102"

- name: Raise one guest to 16 KiB per second, and take the RNG away from another
  fleet.rng.proxmox_rng:
    devices:
      - guest: vault
        source: /dev/random
        max_bytes: 16384
        period: 1000
      - guest: scratch
        state: absent

- name: The same from the controller, with a token of the API
  fleet.rng.proxmox_rng:
    api_host: pve1.example.com
    api_user: ansible@pve
    api_token_id: fleet
    api_token_secret: "{{ vault_pve_token }}"
    ca_path: "{{ playbook_dir }}/files/pve-root-ca.pem"
    node: pve1
    devices:
      - guest: web1
  delegate_to: localhost

- name: Do what a plan says
  fleet.rng.proxmox_rng:
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
        - What happened to the configuration, from which the guest starts, pending changes included.
        - One of V(unchanged), V(added), V(replaced), V(removed).
      type: str
      sample: replaced
    live:
      description:
        - V(needs_restart) means that the guest runs with another RNG until it is shut down and started.
        - V(added), V(replaced) and V(removed) are guests that were restarted, for which O(devices[].restart) is needed.
        - V(unchanged) means that it runs with the one that it should have, and V(not_applicable) that it does not run.
      type: str
      sample: needs_restart
    reason:
      description: What was found and what became of it. A guest that is left as it is says why.
      type: str
      sample: "config: had no RNG -> /dev/urandom, 1024 B / 1000 ms; live: this hypervisor cannot hot-plug an RNG"
    error:
      description: Why the guest could not be given what was asked, or null.
      type: str
      sample: it is locked (backup); try again when that is over
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.module.apply import run
from ansible_collections.fleet.rng.plugins.module_utils.module.arguments import CONVERGE_SPEC
from ansible_collections.fleet.rng.plugins.module_utils.module.proxmox import PROXMOX_SPEC, find_backend


def main():
    spec = {**CONVERGE_SPEC, **PROXMOX_SPEC}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    run(module, find_backend(module))


if __name__ == "__main__":
    main()
