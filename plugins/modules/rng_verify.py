#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_verify
short_description: Judge whether each guest of a fleet has the virtio RNG of its policy, and uses it
version_added: 0.1.0
description:
  - Holds what hypervisors and guests were seen to have against a plan, and returns a verdict on each guest, the checks
    it is made of, and findings with a stable id, a severity and a remedy.
  - It runs on the controller, changes nothing and contacts no host. Run it once for all hypervisors, with C(run_once),
    after M(fleet.rng.rng_plan), and after the C(_info) module of their kind has looked again with views, such as
    M(fleet.rng.libvirt_rng_info) with O(fleet.rng.libvirt_rng_info#module:guest_view).
  - What is wanted comes from the plan. What is there comes from the second look, so a plan that was applied in between
    is judged by what became of it.
  - The page C(docs/findings.md) of the collection lists all findings.
options:
  hosts:
    description:
      - The hypervisors whose guests are judged.
      - By default those of the current batch that are still in the play.
      - A host without a plan or a second look gets an C(error), and the others are judged.
    type: list
    elements: str
  plan:
    description:
      - Name of the variable in which each hypervisor registered the result of M(fleet.rng.rng_plan).
      - The plan must have all guests, O(fleet.rng.rng_plan#module:explain=all).
    type: str
    default: virtio_rng_plan
  observation:
    description:
      - Name of the variable with the look that the plan was made from. By the UUIDs in it a guest that has gone is told
        from another one of its name.
    type: str
    default: virtio_rng_observation
  result:
    description:
      - Name of the variable with the result of applying the plan, such as that of M(fleet.rng.libvirt_rng). It says why
        a guest could not be changed, or what it waits for. It need not be there.
    type: str
    default: virtio_rng_result
  proof:
    description:
      - Name of the variable with the second look, the one with views.
    type: str
    default: virtio_rng_proof
  inside:
    description:
      - Name of the variable in which guests that are inventory hosts registered the result of M(fleet.rng.rng_info). It
        counts where a guest's agent could not tell. It need not be there.
    type: str
    default: virtio_rng_inside
  guests:
    description:
      - The inventory group of the guests.
    type: str
    default: guests
  exclusive:
    description:
      - Whether a guest is to have the wanted RNG and no other, whoever attached it.
      - By default as the variable C(virtio_rng_exclusive) of each hypervisor says, and V(true) without it.
    type: bool
  strict:
    description:
      - Whether guests that wait for a restart, or that are not proven, count in RV(verification.hosts) as a C(failure).
      - By default as the variable C(virtio_rng_verify_strict) of each hypervisor says, and V(false) without it.
    type: bool
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
attributes:
  action:
    description: Has an action plugin of the same name, and runs on the controller only.
    support: full
notes:
  - The task itself fails only when its options are wrong. That guests have failed is for a later task to say, with the
    C(failure) of each hypervisor.
  - What comes from guests is never templated. In messages it is shortened, and what would not be visible is escaped.
seealso:
  - module: fleet.rng.rng_plan
  - module: fleet.rng.libvirt_rng_info
  - module: fleet.rng.rng_info
  - plugin: fleet.rng.verdicts
    plugin_type: filter
author:
  - The fleet.rng authors (@fleet-rng)
"""

EXAMPLES = r"""
- name: See what the guests have
  fleet.rng.libvirt_rng_info:
  register: virtio_rng_observation

- name: Plan what they should have
  fleet.rng.rng_plan:
  run_once: true
  register: virtio_rng_plan

- name: Ask the guests, and look at their QEMU processes
  fleet.rng.libvirt_rng_info:
    guest_view: true
    host_view: true
  become: true
  register: virtio_rng_proof

- name: Judge them
  fleet.rng.rng_verify:
  run_once: true
  register: virtio_rng_verification

- name: Show how they are
  fleet.rng.rng_show:
    lines: "{{ virtio_rng_verification.verification | fleet.rng.verdicts }}"
  run_once: true

- name: Fail where a guest has not what it should have
  ansible.builtin.fail:
    msg: "{{ virtio_rng_verification.verification.hosts[inventory_hostname].failure }}"
  when: virtio_rng_verification.verification.hosts[inventory_hostname].failure is not none
"""

RETURN = r"""
verification:
  description: The verdicts.
  returned: success
  type: dict
  contains:
    hosts:
      description: The verdicts on the guests of each hypervisor, by its inventory name.
      type: dict
      contains:
        error:
          description: Why the hypervisor could not be verified, or null.
          type: str
        failure:
          description:
            - What a task that fails for this hypervisor can say, its C(error) or which guests are not verified.
            - Null when nothing is wrong.
          type: str
        counts:
          description: The number of guests by verdict, with a 0 where there are none.
          type: dict
        total:
          description: The number of guests that the hypervisor has, as far as known.
          type: int
        guests:
          description: Every guest of the plan.
          type: list
          elements: dict
          contains:
            guest:
              description: The name of the guest as its hypervisor has it.
              type: str
            uuid:
              description: Its UUID.
              type: str
            inventory:
              description: The inventory host that it is, or null.
              type: str
            verdict:
              description:
                - V(verified), when all that the policy asks for holds and the guest itself said so, or when it is to
                  have no RNG and has none.
                - V(waiting), when it is right in the configuration and the running guest needs a restart.
                - V(off), when it is right in the configuration and not running.
                - V(unproven), when nothing is wrong and the guest could not be asked.
                - V(failed), or V(unmanaged).
              type: str
            reason:
              description: Why.
              type: str
            checks:
              description:
                - The checks C(config), C(live), C(source), C(rate), C(driver), C(current), C(open) and C(measured).
                - Where the source is a socket of the entropy broker, C(open) says whether the broker has the guest
                  among its clients, and what it has served it. It fails where the broker is gone or hangs.
                - Each has a C(result), V(pass), V(fail), V(unknown) or V(not applicable), and a C(message).
                - C(source) and C(rate) are by what QEMU itself says where it was asked, else by what libvirt says.
                  C(driver) and C(current) are by the guest's agent, else by M(fleet.rng.rng_info).
              type: dict
            findings:
              description: What was found, the worst first.
              type: list
              elements: dict
              contains:
                id:
                  description: The stable id, V(RNG101) and up.
                  type: str
                severity:
                  description: V(error), V(warning) or V(info).
                  type: str
                subject:
                  description: The guest.
                  type: str
                message:
                  description: What was found.
                  type: str
                remedy:
                  description: What to do about it, a command or a variable.
                  type: str
                evidence:
                  description: The values that show it.
                  type: dict
    counts:
      description: The number of all guests by verdict.
      type: dict
    total:
      description: The number of all guests, as far as known.
      type: int
  sample:
    hosts:
      hv1:
        error:
        failure: "1 of 1 guests failed: web1: Its rate is not 1024 B / 1000 ms: unlimited (live)"
        counts: {verified: 0, failed: 1, waiting: 0, unproven: 0, "off": 0, unmanaged: 0}
        total: 1
        guests:
          - guest: web1
            uuid: 1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11
            inventory: web1
            verdict: failed
            reason: "Its rate is not 1024 B / 1000 ms: unlimited (live)."
            checks:
              config: {result: pass, message: "has builtin, 1024 B / 1000 ms"}
              live: {result: fail, message: "has builtin, unlimited; wanted is builtin, 1024 B / 1000 ms"}
              source: {result: pass, message: "builtin, as libvirt says"}
              rate: {result: fail, message: "unlimited, as libvirt says"}
              driver: {result: pass, message: "there, as the guest's agent says"}
              current: {result: pass, message: "virtio_rng.0, as the guest's agent says"}
              open: {result: not applicable, message: "nothing to open: QEMU asks the kernel"}
              measured: {result: not applicable, message: not measured}
            findings:
              - id: RNG105
                severity: error
                subject: web1
                message: "Its rate is not 1024 B / 1000 ms: unlimited (live)."
                remedy: >-
                  Run the playbook fleet.rng.enable_rng; or, if what it has is meant, set it as the policy of the guest
                  (virtio_rng_max_bytes, virtio_rng_period).
                evidence: {live: unlimited}
    counts: {verified: 0, failed: 1, waiting: 0, unproven: 0, "off": 0, unmanaged: 0}
    total: 1
"""
