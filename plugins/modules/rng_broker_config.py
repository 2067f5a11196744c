#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_broker_config
version_added: 0.1.0
short_description: Make the configuration of the entropy broker of a hypervisor, from the inventory
description:
  - Turns groups of guests into classes of the broker, and returns the configuration that C(virtrngd) reads on the
    hypervisor that the task is for. The daemon's own code has checked it.
  - It runs on the controller, changes nothing and contacts no host.
  - An inventory group of guests is a class where its own variables set C(rng_broker_rate), C(rng_broker_ceil),
    C(rng_broker_burst) or C(rng_broker_priority), where they say C(virtio_rng_source) V(broker), or where a guest, a
    group or this hypervisor names it as V(broker:<class>). Variables that a group inherits do not make it a class.
    Groups with hypervisors in them, and C(all), never are classes.
  - A class shares the rate of the nearest group above it that is a class, too.
  - C(rng_broker_classes) of the hypervisor adds classes, or overrides what groups say. It is a mapping of names to
    C(rate), C(ceil), C(burst), C(priority) and C(parent).
  - C(rng_broker_host_rate) of the hypervisor is what all classes share, bytes per second or V(unlimited).
  - The class C(default) is always there, for guests that are in no class.
  - Where guests are directly in a class that has classes below it, the class C(<class>.own) below it is theirs.
  - The groups' variables are templated with those of the hypervisor.
  - The page C(docs/broker.md) of the collection explains classes and rates, with examples.
options:
  guests:
    description:
      - The inventory group of the guests.
    type: str
    default: guests
  hypervisors:
    description:
      - The inventory group of all hypervisors. Groups that hold one of them are no classes.
    type: str
    default: hypervisors
  sources:
    description:
      - Where the broker takes its bytes from, in order of preference. Each is V(getrandom) or the path of a character
        device, or a mapping of C(source) and C(tests). C(tests) is V(hardware), for continuous health tests, or
        V(none).
      - The daemon's default is V(getrandom) alone.
    type: list
    elements: raw
  when_failing:
    description:
      - With V(fallback) the next source serves when one fails its tests. With V(wait) only the first source of the list
        ever serves, and guests wait for it.
      - The daemon's default is V(fallback).
    type: str
    choices: [fallback, wait]
  conditioning:
    description:
      - Whether bytes of hardware are mixed with the kernel's by XOR. The daemon's default is V(true).
    type: bool
  accept_entropy:
    description:
      - Whether bytes that a client hands in are stirred into the kernel's pool. They never count as entropy. The
        daemon's default is V(false), and it drops them.
    type: bool
  socket_mode:
    description:
      - The mode of the sockets, as octal digits in quotes. The daemon's default is V(0660).
    type: str
  socket_group:
    description:
      - The group of the sockets, which QEMU has to be in. Without it they have the group of the daemon.
    type: str
  clients:
    description:
      - How many connections the daemon takes. Its default is 4096.
    type: int
  clients_per_socket:
    description:
      - How many connections it takes at each socket. Its default is 1024.
    type: int
  clients_per_process:
    description:
      - How many connections it takes of one process, at all sockets together. Its default is 16.
    type: int
  control_mode:
    description:
      - The mode of the control socket, as octal digits in quotes. The daemon's default is V(0660).
    type: str
  control_group:
    description:
      - The group of the control socket. Without it the group of the daemon.
    type: str
  metrics_file:
    description:
      - A file that the daemon keeps its metrics in, for a collector of text files. Without it there is none.
    type: str
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
attributes:
  action:
    description: Has an action plugin of the same name, and runs on the controller only.
    support: full
notes:
  - It fails with all that is wrong, naming the group or hypervisor and the variable of each mistake. Then there is no
    configuration, so that a broker that runs keeps the one it has.
  - A guest whose class cannot be told is no mistake here. M(fleet.rng.rng_plan) refuses it, and says why.
seealso:
  - module: fleet.rng.rng_plan
author:
  - The fleet.rng authors (@fleet-rng)
"""

EXAMPLES = r"""
- name: Make the broker's configuration
  fleet.rng.rng_broker_config:
    sources:
      - source: /dev/hwrng
        tests: hardware
      - source: getrandom
    socket_group: kvm
  register: broker

- name: Write it
  ansible.builtin.copy:
    content: "{{ broker.text | string }}" # or Ansible before 2.19 takes it for a mapping
    dest: /etc/virtrngd/virtrngd.json
    mode: "0644"
"""

RETURN = r"""
config:
  description:
    - The configuration, with the keys that the daemon knows. Those that were not given are missing.
  returned: success
  type: dict
  sample:
    classes:
      - {name: default, parent: null, rate: 64, sockets: [/run/virtrngd/default.sock]}
      - {name: gold, parent: null, rate: 3072, sockets: [/run/virtrngd/gold.sock]}
      - {name: silver, parent: null, rate: 1024, sockets: [/run/virtrngd/silver.sock]}
    rate: unlimited
    socket_group: kvm
    sources:
      - source: /dev/hwrng
      - source: getrandom
text:
  description:
    - The same as JSON, the text of the file. The same inventory always gives the same text.
  returned: success
  type: str
classes:
  description: The classes, sorted by name, those for guests directly in another class last.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the class.
      type: str
    group:
      description: The inventory group that it is, or null.
      type: str
    parent:
      description: The class that it is in, or null.
      type: str
    rate:
      description:
        - The bytes per second that it is sure to get. Where nobody set it, what its classes have together, and 64 for a
          class without any.
      type: int
    ceil:
      description: The bytes per second that it gets at most, or V(unlimited).
      type: raw
    burst:
      description: The bytes that it may take at once.
      type: int
    priority:
      description: Who is first to get what others leave, from 0 to 7.
      type: int
    socket:
      description: The path of its socket, or null where it has classes below it.
      type: str
    guests:
      description: How many guests of the inventory it would serve, were they all on this hypervisor.
      type: int
  sample:
    - {name: default, group: null, parent: null, rate: 64, ceil: unlimited, burst: 512, priority: 0,
       socket: /run/virtrngd/default.sock, guests: 0}
    - {name: gold, group: gold, parent: null, rate: 3072, ceil: unlimited, burst: 512, priority: 0,
       socket: /run/virtrngd/gold.sock, guests: 2}
"""
