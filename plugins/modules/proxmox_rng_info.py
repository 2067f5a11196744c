#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe the guests of one Proxmox VE node: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proxmox_rng_info
version_added: 0.1.0
short_description: Observe the virtio RNGs of all guests of a Proxmox VE node
description:
  - Returns which virtio random number generator every guest of a Proxmox VE node has, in its configuration and
    while it runs, together with an audit of the node's own kernel RNG.
  - It changes nothing. One call of the API lists the guests. Their configurations are read from
    C(/etc/pve/qemu-server), where the node publishes them, because no call of the API returns those of several
    guests. A guest whose file cannot be read there is asked for through the API by itself.
  - With O(api_host) it runs on any machine. Each guest is then one call of the API, eight of them at a time, and
    nothing is known of the node's own kernel.
notes:
  - Each command for an agent is a call of C(pvesh), which takes about a second on some nodes. With O(guest_view), and
    without O(guest_exec), a guest is asked for about twelve things, so give it a longer O(timeout) there. Programs in
    guests (O(guest_exec)) need Proxmox VE 8 or later.
  - Runs on the node, as root, or with O(api_host) anywhere. Guests on other nodes of the cluster, and containers (LXC),
    are not listed.
  - Where guests share the UUID of their SMBIOS, or have none, the cluster's name is needed, for which a token needs
    C(Sys.Audit) on C(/). Asking agents takes C(VM.GuestAgent.Unrestricted) on the guests, or C(VM.Monitor) before
    Proxmox VE 9.
extends_documentation_fragment:
  - fleet.rng.proxmox
  - fleet.rng.views
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.proxmox_rng
  - module: fleet.rng.rng_plan
  - module: fleet.rng.rng_info
"""

EXAMPLES = r"""
- name: Observe the node and its guests
  fleet.rng.proxmox_rng_info:
  register: observed

- name: Observe them from the controller, with a token of the API
  fleet.rng.proxmox_rng_info:
    api_host: pve1.example.com
    api_user: ansible@pve
    api_token_id: fleet
    api_token_secret: "{{ vault_pve_token }}"
    node: pve1
  delegate_to: localhost
  register: observed

- name: Name the running guests that have no RNG
  ansible.builtin.debug:
    msg: "{{ observed.guests | selectattr('live', 'equalto', []) | map(attribute='name') }}"

- name: Name the guests whose change is pending until their next start
  ansible.builtin.debug:
    msg: "{{ item.name }} ({{ item.number }})"
  loop: "{{ observed.guests }}"
  loop_control:
    label: "{{ item.number }}"
  when: item.running and item.live != item.config
"""

RETURN = r"""
host:
  description:
    - The kernel RNG of the node, as RV(fleet.rng.rng_info#module:rng) describes it, and the hypervisor.
    - With O(api_host) nothing is known of the former, and its C(unreadable) says why.
  returned: success
  type: dict
  contains:
    hypervisor:
      description: The hypervisor that was asked.
      type: dict
      contains:
        kind:
          description: Always V(proxmox).
          type: str
        version:
          description: The version of Proxmox VE.
          type: str
          sample: 9.2.1
        rng_models:
          description: The models that it offers.
          type: list
          elements: str
          sample: [virtio]
        rng_backends:
          description: The kinds of sources that it offers.
          type: list
          elements: str
          sample: [random]
    sources:
      description:
        - Of each of O(sources) why a guest cannot live on it on this node, or V(null) where it can.
        - Empty when none were asked for. With O(api_host) none is tried, and V(/dev/hwrng) is missing here unless a
          guest of the node runs with it.
      type: dict
      sample: {"/dev/urandom": null, "/dev/hwrng": "source /dev/hwrng: No such file or directory"}
guests:
  description: All guests of the node, sorted by name and number.
  returned: success
  type: list
  elements: dict
  contains:
    number:
      description: Its VMID. Unlike names, it is unique.
      type: str
      sample: "101"
    name:
      description:
        - The guest's name, or C(VM) and its VMID if it has none.
        - Where several guests of the node have the same, each has its VMID behind it, as C(web1 (101)).
      type: str
      sample: web1
    uuid:
      description:
        - The UUID of its SMBIOS, which the guest itself sees.
        - One made of the names of the cluster and the VMID where it has none, or shares it with another guest.
      type: str
      sample: 1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11
    running:
      description: Whether it runs; a paused guest does.
      type: bool
    persistent:
      description: Always V(true).
      type: bool
    arch:
      description: The architecture of the virtual machine.
      type: str
      sample: x86_64
    machine:
      description: The machine type.
      type: str
      sample: q35
    config:
      description: The virtio RNG that its next start gives it, which includes pending changes.
      type: list
      elements: dict
      contains:
        source:
          description: As O(fleet.rng.proxmox_rng#module:devices[].source); null when it cannot be expressed so.
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
          description: Always V(virtio).
          type: str
          sample: virtio
        driver:
          description: Always empty.
          type: dict
          sample: {}
        alias:
          description: V(ua-fleet-rng) if this collection wrote it, and V(rng0) if somebody else did.
          type: str
          sample: ua-fleet-rng
        unknown:
          description: Only where RV(guests[].config[].source) is null, what this collection has no words for.
          type: str
    live:
      description: The virtio RNG that it has now, with the keys of RV(guests[].config); null when it is not running.
      type: list
      elements: dict
    blocked:
      description:
        - Why nothing may be changed now (C(lock)), or why it is left alone (C(template)).
        - Empty when nothing stands in the way.
      type: dict
      sample: {"lock": "it is locked (backup); try again when that is over"}
    guest_view:
      description:
        - What the guest itself says, with the keys of RV(fleet.rng.libvirt_rng_info#module:guests[].guest_view).
        - V(null) without O(guest_view), and for guests that are not among O(guests).
        - All of it is in the hands of the guest. Texts are shortened, and what is not printable in them is escaped.
      type: dict
      contains:
        status:
          description: As RV(fleet.rng.libvirt_rng_info#module:guests[].guest_view.status).
          type: str
          sample: seen
        rng:
          description: As RV(fleet.rng.libvirt_rng_info#module:guests[].guest_view.rng).
          type: dict
        measured:
          description: As RV(fleet.rng.libvirt_rng_info#module:guests[].guest_view.measured).
          type: dict
    host_view:
      description:
        - What the node sees of the guest's QEMU, with the keys of
          RV(fleet.rng.libvirt_rng_info#module:guests[].host_view).
        - V(null) without O(host_view), and for guests that are not among O(guests).
        - With O(api_host) its C(status) is V(out of sight), and everything in it is V(null).
      type: dict
      contains:
        qemu:
          description: Always V(null), since the API does not lead to QEMU's own monitor.
          type: list
          elements: dict
    notes:
      description: What one should know before the guest is changed, such as snapshots.
      type: list
      elements: str
    error:
      description: Why the guest could not be read, or null.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.module.info import run
from ansible_collections.fleet.rng.plugins.module_utils.module.proxmox import PROXMOX_SPEC, find_backend
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC


def main():
    spec = {"sources": {"type": "list", "elements": "str", "default": []}, **VIEWS_SPEC, **PROXMOX_SPEC}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    run(module, find_backend(module))


if __name__ == "__main__":
    main()
