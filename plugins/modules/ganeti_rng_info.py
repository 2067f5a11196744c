#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe the instances of one Ganeti cluster: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ganeti_rng_info
version_added: 0.1.0
short_description: Observe the virtio RNGs of all instances of a Ganeti cluster
description:
  - Returns which virtio random number generators every instance of a Ganeti cluster has, by its hypervisor
    parameters and while it runs, together with an audit of the master's own kernel RNG.
  - It changes nothing, and takes two questions to the master's daemon however many instances there are. They go over
    its socket, as those of C(gnt-instance list) do, because values of C(kvm_extra) may hold whatever separates the
    columns of that.
notes:
  - Runs on the master, as root. Elsewhere it fails and names the master.
  - The views are of instances that run on the master itself. An instance has an agent if its parameter
    C(use_guest_agent) is set.
extends_documentation_fragment:
  - fleet.rng.ganeti
  - fleet.rng.views
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.ganeti_rng
  - module: fleet.rng.rng_plan
  - module: fleet.rng.rng_info
"""

EXAMPLES = r"""
- name: Observe the master and the instances of its cluster
  fleet.rng.ganeti_rng_info:
  register: observed

- name: Name the running guests that have no RNG
  ansible.builtin.debug:
    msg: "{{ observed.guests | selectattr('live', 'equalto', []) | map(attribute='name') }}"

- name: Name the instances whose change waits for a hard reboot
  ansible.builtin.debug:
    msg: "{{ item.name }}"
  loop: "{{ observed.guests }}"
  loop_control:
    label: "{{ item.name }}"
  when: item.live is not none and item.live != item.config
"""

RETURN = r"""
host:
  description:
    - The kernel RNG of the master, as RV(fleet.rng.rng_info#module:rng) describes it, and the hypervisor.
  returned: success
  type: dict
  contains:
    hypervisor:
      description: The hypervisor that was asked.
      type: dict
      contains:
        kind:
          description: Always V(ganeti).
          type: str
        version:
          description: The version of Ganeti.
          type: str
          sample: 3.0.2
        rng_models:
          description: The models that it offers.
          type: list
          elements: str
          sample: [virtio, virtio-transitional, virtio-non-transitional]
        rng_backends:
          description: The kinds of sources that it offers.
          type: list
          elements: str
          sample: [random, builtin]
    sources:
      description:
        - Of each of O(sources) why a guest cannot live on it on the master, or V(null) where it can.
        - Empty when none were asked for.
      type: dict
      sample: {"/dev/urandom": null, "/dev/hwrng": "source /dev/hwrng: No such file or directory"}
guests:
  description: All instances of the cluster, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The instance's name.
      type: str
      sample: web1.example.org
    uuid:
      description: The instance's UUID.
      type: str
      sample: 1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11
    running:
      description: Whether it runs, as its node tells.
      type: bool
    persistent:
      description: Always V(true).
      type: bool
    arch:
      description: The architecture of the cluster.
      type: str
      sample: x86_64
    machine:
      description: The machine type.
      type: str
      sample: pc
    config:
      description: The virtio RNGs that its next start gives it.
      type: list
      elements: dict
      contains:
        source:
          description: As O(fleet.rng.ganeti_rng#module:devices[].source); null when it cannot be expressed so.
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
          description: >-
            QEMU's id of it, or null. That of this collection in C(kvm_extra) is V(ua-fleet-rng), and an RNG by the
            instance's own C(virtio_rng) is V(ua-fleet-rng-parameter).
          type: str
          sample: ua-fleet-rng
        unknown:
          description: Only where RV(guests[].config[].source) is null, what this collection has no words for.
          type: str
    live:
      description: >-
        The virtio RNGs on the command line of its QEMU, with the keys of RV(guests[].config). Null when it is not
        running, or on another node than the master.
      type: list
      elements: dict
    blocked:
      description:
        - Why an RNG could not be added, by C(config) and C(live).
        - Empty when nothing stands in the way.
      type: dict
      sample: {"config": "its hypervisor is xen-pvm, which has no virtio RNG"}
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
        - What the master sees of the guest's QEMU, with the keys of
          RV(fleet.rng.libvirt_rng_info#module:guests[].host_view).
        - V(null) without O(host_view), and for guests that are not among O(guests).
      type: dict
    notes:
      description: What one should know before the guest is changed, such as which level gives it its C(kvm_extra).
      type: list
      elements: str
    error:
      description: Why the guest could not be read, or null.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.ganeti import Backend
from ansible_collections.fleet.rng.plugins.module_utils.module.info import run
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC


def main():
    spec = {"sources": {"type": "list", "elements": "str", "default": []}, **VIEWS_SPEC}
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), Backend())


if __name__ == "__main__":
    main()
