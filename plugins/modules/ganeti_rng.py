#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge the instances of one Ganeti cluster: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ganeti_rng
version_added: 0.1.0
short_description: Give instances of a Ganeti cluster the virtio RNG that they should have
description:
  - Gives each instance in O(devices) the virtio random number generator asked for, by the instance's own hypervisor
    parameters, with C(gnt-instance modify). Nothing is restarted unless O(devices[].restart) allows it.
  - That is the parameter C(virtio_rng) where the cluster knows it (some builds of Ganeti do) and it can say all of
    the device, which is an unlimited one from V(/dev/urandom) or V(/dev/random). Otherwise it is words of our own in
    C(kvm_extra), of which every other byte stays as it is.
  - None can be plugged while the instance runs. RV(guests[].live) is V(needs_restart) until a reboot with
    C(--type=hard), or a shutdown and a startup. A reboot from inside, or with C(--type=soft), is not enough.
  - An instance's own C(kvm_extra) replaces that of its OS and its cluster. So if it has none, it gets a copy of
    theirs with our words behind it, and RV(guests[].reason) says so. With V(absent) it goes back to having none, unless
    somebody has changed the copy. M(fleet.rng.ganeti_rng_info) returns as a note where the value comes from.
  - All instances are handled side by side. One that fails does not stop the others. The task fails at its end and
    says which, of how many, and why.
notes:
  - Runs on the master, as root. Elsewhere it fails and names the master.
  - What an instance really runs with is read from the command line of its QEMU, for those whose primary node is the
    master. Of others it is not known, so RV(guests[].live) is V(not_applicable).
  - The sources are character devices, whose path is ASCII without spaces, quotes and backslashes, and V(builtin).
    A source is tried on the master only.
  - Ganeti has no way to change a parameter only if it still is what one has read. Each change is based on a reading
    of the moment before, and everything is read again after it.
  - A change is a job of Ganeti. One that has to wait for other jobs of the same instance for more than a minute, such
    as its migration or backup, is cancelled, and the instance has an error.
  - A restart is a C(gnt-instance reboot) with C(--type=hard). Ganeti itself pulls the plug of an instance that has not
    shut down within O(restart_timeout), so nothing is restarted without O(restart_force). Nothing is restarted
    either while any job of the cluster migrates, moves, evacuates or exports instances.
  - Ganeti itself warns of migrating an instance whose parameters have changed before it was restarted.
extends_documentation_fragment:
  - fleet.rng.devices
  - fleet.rng.ganeti
  - fleet.rng.attributes
  - fleet.rng.attributes.converging_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.ganeti_rng_info
  - module: fleet.rng.rng_plan
  - name: Ganeti, gnt-instance
    description: The command, and the hypervisor parameter kvm_extra.
    link: https://docs.ganeti.org/docs/ganeti/3.0/man/gnt-instance.html
"""

EXAMPLES = r"""
- name: Give two instances an RNG of 1 KiB per second
  fleet.rng.ganeti_rng:
    devices:
      - guest: web1.example.org
      - guest: web2.example.org

- name: Raise one instance to 16 KiB per second, and take the RNG away from another
  fleet.rng.ganeti_rng:
    devices:
      - guest: vault.example.org
        source: /dev/random
        max_bytes: 16384
        period: 1000
      - guest: scratch.example.org
        state: absent

- name: Do what a plan says
  fleet.rng.ganeti_rng:
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
        - What happened to the parameters, from which the guest starts.
        - One of V(unchanged), V(added), V(replaced), V(removed).
      type: str
      sample: replaced
    live:
      description:
        - V(needs_restart) means that the guest runs with another RNG until its next hard reboot.
        - V(added), V(replaced) and V(removed) are guests that were restarted, for which O(devices[].restart) is needed.
        - V(unchanged) means that it runs with the one that it should have.
        - V(not_applicable) means that it does not run, or on another node than the master.
      type: str
      sample: needs_restart
    reason:
      description: What was found and what became of it. A guest that is left as it is says why.
      type: str
      sample: /dev/urandom, 1024 B / 1000 ms -> /dev/urandom, 4096 B / 1000 ms
    error:
      description: Why the guest could not be given what was asked, or null.
      type: str
      sample: "source egd+unix:/run/egd.sock: this hypervisor offers random, builtin"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.ganeti import Backend
from ansible_collections.fleet.rng.plugins.module_utils.module.apply import run
from ansible_collections.fleet.rng.plugins.module_utils.module.arguments import CONVERGE_SPEC


def main():
    module = AnsibleModule(argument_spec=CONVERGE_SPEC, supports_check_mode=True)
    run(module, Backend(exclusive=module.params["exclusive"]))


if __name__ == "__main__":
    main()
