# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_plan
short_description: Plan which virtio RNG each guest of a fleet should have, and say why
version_added: 0.1.0
description:
  - Compares what the hypervisors were seen to have with what the inventory asks for, and returns for each guest the
    device that it should have, which variable each part of it came from, what has to change, and what is in the way.
  - It runs on the controller, changes nothing and contacts no host. Run it once for all hypervisors of a batch, with
    C(run_once), after the C(_info) module of their kind, such as M(fleet.rng.libvirt_rng_info), has run on each.
  - The C(devices) of a hypervisor in the plan are what the module of its kind, such as M(fleet.rng.libvirt_rng), takes.
  - What a guest should have is set by the variables C(virtio_rng_state), C(virtio_rng_source), C(virtio_rng_max_bytes),
    C(virtio_rng_period), C(virtio_rng_model), C(virtio_rng_driver), C(virtio_rng_weight) and C(virtio_rng_min_bytes).
    A guest's own inventory variables win over the entries of C(virtio_rng_overrides) of its hypervisor that match its
    name, these over the hypervisor's variables, and these over the defaults of the collection. Variables that the play,
    a role or this task sets count as variables of each hypervisor.
  - C(virtio_rng_host_budget) of a hypervisor limits the bytes per second that its guests may draw together. With
    V(measured) that is C(virtio_rng_host_budget_share) percent of what each source gave to
    M(fleet.rng.rng_source_info), for the guests that are on it. Without such a test, or where a source did not pass it,
    the hypervisor gets an C(error). Rates that guests have already are left as they are while they suit the new
    measurement, too.
  - C(virtio_rng_source) V(broker) or V(broker:<class>) is the socket of a class of the entropy broker on the guest's
    hypervisor, such as V(egd+unix:/run/virtrngd/gold.sock). Which groups of the inventory are classes,
    M(fleet.rng.rng_broker_config) says. A guest whose class cannot be told is refused. The groups' own variables are
    read only where a guest asks for a broker.
  - C(virtio_rng_remove) takes the RNG away from all its guests that are not unmanaged, whatever else they ask for.
  - C(virtio_rng_migration_groups) of a hypervisor names the inventory groups that its guests may move within. A guest
    whose source is not safe on another hypervisor of them is refused; with C(virtio_rng_migration) V(warn) that is a
    warning, and with V(ignore) nothing. What is safe there, the observation says in C(host.sources).
  - A guest is the inventory host whose UUID variable holds its UUID, else the one of its name, else the one whose name
    is the same up to its first dot. Guests that are not in the inventory get what their hypervisor's variables say.
  - The page C(docs/policy.md) of the collection explains all variables, their units and limits, with examples.
options:
  hosts:
    description:
      - The hypervisors to plan.
      - By default those of the current batch that are still in the play.
      - A host that was not observed gets an C(error), and the others are planned.
    type: list
    elements: str
  observation:
    description:
      - Name of the variable in which each hypervisor registered the result of its C(_info) module.
    type: str
    default: virtio_rng_observation
  source_tests:
    description:
      - Name of the variable in which each hypervisor registered the result of M(fleet.rng.rng_source_info), for a
        budget that is measured.
    type: str
    default: virtio_rng_source_tests
  guests:
    description:
      - The inventory group of the guests.
    type: str
    default: guests
  hypervisors:
    description:
      - The inventory group of all hypervisors. Those that were observed, also in an earlier batch, help to find a guest
        that is defined on two hypervisors. An inventory host that is no guest is reported when all of them were.
      - The hypervisors of migration groups are looked at whether they are in this group or not.
    type: str
    default: hypervisors
  uuid_variable:
    description:
      - Name of the inventory variable that holds the UUID of a guest.
    type: str
    default: virtio_rng_uuid
  live:
    description:
      - Whether running guests may be changed while they run. Otherwise the change waits for their next start.
      - By default as the variable C(virtio_rng_live) of each hypervisor says, and V(true) without it.
    type: bool
  exclusive:
    description:
      - Whether RNGs that differ from the wanted one are to go, whoever attached them.
      - By default as the variable C(virtio_rng_exclusive) of each hypervisor says, and V(true) without it.
    type: bool
  policies:
    description:
      - Whether to return C(policies), for the configuration files of guests that are created later.
    type: bool
    default: false
  explain:
    description:
      - V(changes) leaves guests out of C(guests) that are in sync or unmanaged; the counts include them.
    type: str
    choices: [all, changes]
    default: all
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
attributes:
  action:
    description: Has an action plugin of the same name, and runs on the controller only.
    support: full
notes:
  - Names of guests are never templated. In messages they are shortened, and what would not be visible is escaped.
  - One bad variable refuses the guests that depend on it, and nothing else. The task itself fails only when its options
    are wrong.
  - The budget of a hypervisor covers the guests that this collection manages and could plan, running or not.
seealso:
  - module: fleet.rng.libvirt_rng_info
  - module: fleet.rng.libvirt_rng
  - module: fleet.rng.rng_broker_config
  - module: fleet.rng.rng_source_info
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

- name: Show the plan of this hypervisor
  ansible.builtin.debug:
    var: virtio_rng_plan.plan.hosts[inventory_hostname]

- name: Change what differs
  fleet.rng.libvirt_rng:
    devices: "{{ virtio_rng_plan.plan.hosts[inventory_hostname].devices }}"
  when: virtio_rng_plan.plan.hosts[inventory_hostname].devices | length > 0

- name: Plan a rate that the play decides, for guests that set none themselves, and only show what would change
  fleet.rng.rng_plan:
    explain: changes
    live: false
  vars:
    virtio_rng_max_bytes: 4096
    virtio_rng_period: 1000
  run_once: true
  register: virtio_rng_plan

- name: Plan with other names for the groups and for the UUID variable
  fleet.rng.rng_plan:
    hosts: "{{ groups['kvm_berlin'] }}"
    hypervisors: kvm
    guests: virtual_machines
    uuid_variable: vm_uuid
    observation: rng_seen
  run_once: true
  register: virtio_rng_plan
"""

RETURN = r"""
plan:
  description: The plan.
  returned: success
  type: dict
  contains:
    hosts:
      description: The plan of each hypervisor, by its inventory name.
      type: dict
      contains:
        devices:
          description:
            - The guests that have to change, as the module that applies the plan takes them.
            - Empty when there is nothing to do.
          type: list
          elements: dict
          contains:
            guest:
              description: The name of the guest.
              type: str
            state:
              description: V(present) or V(absent). The other keys are there only with V(present).
              type: str
            source:
              description: Where the host takes the bytes from.
              type: str
            max_bytes:
              description: Bytes in each period, an integer or V(unlimited).
              type: raw
            period:
              description: Length of the period in milliseconds.
              type: int
            model:
              description: The model of the device.
              type: str
            driver:
              description: Virtio driver options that are set, each to a boolean.
              type: dict
        guests:
          description: Every guest of the hypervisor, unless O(explain=changes).
          type: list
          elements: dict
          contains:
            guest:
              description: The name of the guest as its hypervisor has it.
              type: str
            inventory:
              description: The inventory host that it is, or null.
              type: str
            state:
              description: V(present), V(absent), V(unmanaged) or V(refused).
              type: str
            wanted:
              description:
                - The device that it should have, or null. The keys are those of C(devices).
              type: dict
            from:
              description:
                - Where each part of the policy came from, in words, by the name of the variable without C(virtio_rng_).
              type: dict
            config:
              description:
                - What applying the plan does to the guest's persistent configuration. One of V(unchanged), V(added),
                  V(replaced), V(removed), V(needs_restart), V(pending_removal) or V(not_applicable).
              type: str
            live:
              description: The same for the guest as it runs.
              type: str
            reason:
              description: Why that happens, or why nothing does.
              type: str
            obstacles:
              description:
                - What stands in the way of the wanted device, one sentence each.
                - With C(virtio_rng_migration) V(refuse) also that a definition left behind on another hypervisor of a
                  migration group has another device. That stops nothing.
              type: list
              elements: str
        refused:
          description: The guests that cannot be planned, each with C(guest) and C(reason).
          type: list
          elements: dict
        total:
          description: The number of guests that the hypervisor has.
          type: int
        in_sync:
          description: The number of guests that are as they should be.
          type: int
        unmanaged:
          description: The number of guests that are left alone.
          type: int
        budget:
          description:
            - With a budget, C(bytes_per_second), the bytes per second that are C(promised) to guests, and the number of
              C(guests) that share it. Null without one.
            - C(measured) is null, or for a measured budget the C(share) in percent and the C(sources). These have, by
              source, the bytes per second that were C(measured), and the three numbers above of its own guests.
          type: dict
        sources:
          description: The sources that guests of the hypervisor are to have, sorted.
          type: list
          elements: str
        untested:
          description:
            - The sources whose test the hypervisor's measured budget waits for. Empty without such a budget.
          type: list
          elements: str
        policies:
          description:
            - The device that a future guest of this hypervisor would get, by C(name), as C(device).
            - The name V(default) is the hypervisor's own policy. The others are inventory groups that hold guests only,
              and whose guests all share one device.
            - Empty unless O(policies=true).
          type: list
          elements: dict
        error:
          description: Why the hypervisor could not be planned, or null.
          type: str
        failure:
          description:
            - What a task that fails for this hypervisor can say, its C(error) or who is refused.
            - Null when nothing is wrong.
          type: str
    unknown_guests:
      description:
        - Inventory hosts of the group of guests that no hypervisor has, each with C(inventory) and C(reason). Only
          filled when all hypervisors of the inventory were observed; hosts with C(virtio_rng_state) V(absent) or
          V(unmanaged) are not listed.
      type: list
      elements: dict
    warnings:
      description: What does not concern a single guest or hypervisor.
      type: list
      elements: str
  sample:
    hosts:
      hv1:
        devices:
          - guest: web1
            state: present
            source: /dev/urandom
            max_bytes: 4096
            period: 1000
            model: virtio
            driver: {}
        guests:
          - config: replaced
            from:
              driver: collection default
              max_bytes: "guest web1: virtio_rng_max_bytes"
              model: collection default
              period: collection default
              source: "hypervisor hv1: virtio_rng_source"
              state: collection default
            guest: web1
            inventory: web1
            live: not_applicable
            obstacles: []
            reason: /dev/urandom, 1024 B / 1000 ms -> /dev/urandom, 4096 B / 1000 ms
            state: present
            wanted: {driver: {}, max_bytes: 4096, model: virtio, period: 1000, source: /dev/urandom}
        refused: []
        total: 1
        in_sync: 0
        unmanaged: 0
        budget:
        sources: [/dev/urandom]
        untested: []
        policies: []
        error:
        failure:
    unknown_guests: []
    warnings: []
"""
