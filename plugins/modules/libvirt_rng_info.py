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
  - It changes nothing, and takes one module run however many guests there are. Without O(guest_view) and
    O(host_view) it opens nothing but a read-only connection.
  - On request it also asks the running guests themselves, through their QEMU guest agents, which RNG their kernel
    uses (O(guest_view)), and measures how fast they get bytes from it (O(measure)). No login and no network is
    needed.
  - Guests of other users' sessions are not seen. libvirt shows all guests of a system URI to everybody who may read
    it.
extends_documentation_fragment:
  - fleet.rng.libvirt
  - fleet.rng.views
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

- name: Ask the guests themselves which RNG their kernel uses
  fleet.rng.libvirt_rng_info:
    guest_view: true
  register: proof

- name: Name the guests whose kernel does not draw from a virtio RNG
  ansible.builtin.debug:
    msg: >-
      {{ proof.guests | selectattr('guest_view.status', 'equalto', 'seen')
         | rejectattr('guest_view.rng.current', 'match', 'virtio_rng') | map(attribute='name') }}

- name: Measure for at most ten seconds how fast two guests get bytes
  fleet.rng.libvirt_rng_info:
    guest_view: true
    guest_exec: true
    measure: {seconds: 10}
    guests: [web1, web2]

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
    sources:
      description:
        - Of each of O(sources) why a guest cannot live on it on this host, or V(null) where it can.
        - Empty when none were asked for.
      type: dict
      sample: {"/dev/urandom": null, "/dev/hwrng": "source /dev/hwrng: No such file or directory"}
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
      description:
        - What the guest itself says. V(null) without O(guest_view), and for guests that are not among O(guests).
        - All of it is in the hands of the guest. Texts are shortened, and what is not printable in them is escaped.
      type: dict
      contains:
        status:
          description:
            - V(seen) when the guest was looked into.
            - V(no agent) when no agent is connected, V(timed out) when one is and does not answer in time.
            - V(file reading disabled) when the agent offers neither to read files nor, with O(guest_exec), to run
              programs.
            - V(not Linux) for other systems, whose agents cannot tell which RNG they use.
            - V(not running) for a guest that is off or paused, and V(error) for everything else.
          type: str
          sample: seen
        why:
          description: What stands behind the status, or V(null).
          type: str
        via:
          description: Always V(agent).
          type: str
        os:
          description: The guest's system, as its agent tells it; V(null) where it does not. Texts may be empty.
          type: dict
          contains:
            id:
              description: The system, as C(ID) in C(/etc/os-release); V(mswindows) for Windows.
              type: str
              sample: debian
            name:
              description: Its full name.
              type: str
              sample: Debian GNU/Linux 12 (bookworm)
            version:
              description: Its version.
              type: str
              sample: "12"
            kernel:
              description: The release of its kernel.
              type: str
              sample: 6.1.0-30-amd64
        driver:
          description: Whether the driver for virtio RNGs is there; V(null) where that is not verifiable.
          type: bool
        rng:
          description:
            - The kernel RNG of the guest, as RV(fleet.rng.rng_info#module:rng) describes it. V(null) if nothing was
              read.
            - Also with another status than V(seen) it has what was read until then.
          type: dict
        measured:
          description: >-
            What came of O(measure). V(null) when it was not asked for, or the guest could not be looked
            into.
          type: dict
          contains:
            status:
              description:
                - V(measured), V(no bytes) when C(/dev/hwrng) gave nothing or the guest has no virtio RNG, V(timed
                  out) when the guest did not answer, V(not allowed) when its agent does not offer C(guest-exec),
                  V(error).
              type: str
              sample: measured
            why:
              description: What stands behind the status, or why there is no rate.
              type: str
            bytes:
              description: The bytes that count, which are not those of the warm-up.
              type: int
              sample: 3072
            seconds:
              description:
                - The seconds from the beginning of the warm-up to the last byte, by the guest's clock.
                - In them a limit that works lets RV(guests[].guest_view.measured.bytes) through, or more, however late
                  the guest is.
              type: float
              sample: 3.52
            bytes_per_second:
              description:
                - The rate, from one renewal of the quota to another, by the one that took a middling time. That of
                  a busy guest may be too low, and one that is late again and again may seem a little too fast.
                - V(null) when O(measure) leaves too few seconds or bytes to see the quota of the device, or the guest
                  has several devices with different rates.
                - That of a device without a limit is rough, since the guest's clock goes in steps of 10 ms.
              type: float
              sample: 1013.9
            health:
              description:
                - Whether tests found a failure in the bytes, the repetition count test and the adaptive proportion
                  test of NIST SP 800-90B, and those of FIPS 140-2. The first 64 KiB are tested, those of the warm-up
                  included.
                - Each is V(no failure found), V(failed), V(too little data) or V(not run). No test can find that
                  random numbers are good.
                - The tests of FIPS 140-2 are C(rngtest) of the rng-tools on the hypervisor, and are V(not run) where
                  that is not installed.
              type: dict
              sample: {repetition_count: no failure found, fips_140_2: too little data}
    host_view:
      description:
        - What the host sees of the guest's QEMU. V(null) without O(host_view), and for guests that are not among
          O(guests).
      type: dict
      contains:
        status:
          description:
            - V(seen) when its process was looked at.
            - V(no process) when it was not found, V(not allowed) when this user may not look at it, V(not running)
              for a guest that is off, and V(error).
          type: str
          sample: seen
        why:
          description: What stands behind the status, or V(null).
          type: str
        pid:
          description: The number of the process, or V(null).
          type: int
        open:
          description: One entry for each device of RV(guests[].live), in the same order.
          type: list
          elements: dict
          contains:
            source:
              description: The source; V(null) when it cannot be expressed.
              type: str
              sample: /dev/urandom
            open:
              description:
                - Whether QEMU has it open, or is connected to it. V(null) when there is nothing to open, or it is not
                  verifiable.
              type: bool
            why:
              description: What one should know of RV(guests[].host_view.open[].open), or V(null).
              type: str
        qemu:
          description: >-
            The RNGs as QEMU itself describes them. V(null) without O(monitor), or when it could not be
            asked.
          type: list
          elements: dict
          contains:
            id:
              description: QEMU's name of the device, which is libvirt's alias of it.
              type: str
              sample: ua-fleet-rng
            source:
              description: The source, or V(null).
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
            backend:
              description: One of V(rng-random), V(rng-builtin) and V(rng-egd).
              type: str
              sample: rng-random
        qemu_why:
          description: Why QEMU could not be asked, or V(null).
          type: str
    notes:
      description: What one should know before the guest is changed, such as a managed save image.
      type: list
      elements: str
    error:
      description: Why the guest could not be read, or null.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt import Backend
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt_observer import DEFAULT_URI
from ansible_collections.fleet.rng.plugins.module_utils.module.info import run
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC


def main():
    module = AnsibleModule(
        argument_spec={
            "uri": {"type": "str", "default": DEFAULT_URI},
            "sources": {"type": "list", "elements": "str", "default": []},
            **VIEWS_SPEC,
        },
        supports_check_mode=True,
    )
    run(module, Backend(module.params["uri"]))


if __name__ == "__main__":
    main()
