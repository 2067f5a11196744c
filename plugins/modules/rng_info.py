#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_info
version_added: 0.1.0
short_description: Audit the kernel's random number generator of a Linux machine
description:
  - Returns which hardware random number generators a Linux machine has, which one its kernel uses, what else feeds the
    kernel's generator, and whether that is sound. It serves hypervisors, guests, hardware and containers alike.
  - It sends one short POSIX shell script through the connection and interprets the answer on the controller. The
    machine needs no Python, and no file is written there. C(sh), C(grep), C(head), C(uname), C(sleep) and C(dd) are
    enough, as busybox has them.
  - Nothing is changed. When the machine has a C(/dev/hwrng) that may be read, one byte is read from it to see that it
    works.
  - It works without O(ignore:become). Then C(/dev/hwrng) can usually not be tried out, which RV(rng.hwrng.why) says.
  - On systems other than Linux it fails and returns RV(unsupported).
options:
  root:
    description:
      - The directory below which C(/sys), C(/proc), C(/run) and C(/dev) are read on the machine, an absolute path.
      - Give another directory to audit a recorded tree. RV(rng.kernel) is then taken from the recorded files.
    type: str
    default: /
  timeout:
    description:
      - The seconds after which the machine gives up, from V(1) to V(300).
      - A connection that hangs is bounded by its own time limits.
    type: int
    default: 10
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
attributes:
  action:
    description: >-
      Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
notes:
  - What the machine sends is limited to 256 KiB. Text from its files is shortened, and control characters in it are
    shown as escapes such as C(\x1b), so that a guest cannot play tricks on the terminal that shows the result.
  - C(docs/findings.md) of the collection lists all findings.
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.libvirt_rng_info
  - name: random(4)
    description: The kernel's random number generator, and the files below C(/proc/sys/kernel/random).
    link: https://man7.org/linux/man-pages/man4/random.4.html
  - name: Hardware random number generators
    description: The kernel's documentation of C(/dev/hwrng) and of the files below C(/sys/class/misc/hw_random).
    link: https://docs.kernel.org/admin-guide/hw_random.html
"""

EXAMPLES = r"""
- name: Audit the kernel RNG
  fleet.rng.rng_info:
  become: true  # to read /dev/hwrng
  register: audit

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ audit.rng.findings | rejectattr('severity', 'equalto', 'info') | map(attribute='message') }}"

- name: Fail unless the guest uses its virtio RNG
  ansible.builtin.assert:
    that: (audit.rng.current or '') is match('virtio_rng')

- name: Audit a tree that was recorded of another machine
  fleet.rng.rng_info:
    root: /srv/recorded/web1
  delegate_to: localhost

- name: Audit machines that may lack Python
  hosts: all
  gather_facts: false
  tasks:
    - name: Audit the kernel RNG, for at most 3 seconds
      fleet.rng.rng_info:
        timeout: 3
      register: audit
"""

RETURN = r"""
rng:
  description:
    - What was found. All keys are always there. A value that could not be found out is V(null).
  returned: success
  type: dict
  contains:
    available:
      description:
        - The hardware RNGs that the kernel could use, by the names of their drivers, without V(none).
        - Empty also where the kernel has no support for them.
      type: list
      elements: str
      sample: [virtio_rng.0, tpm-rng-0]
    current:
      description: The hardware RNG that the kernel uses. V(null) also when it uses none.
      type: str
      sample: virtio_rng.0
    selected:
      description: Whether RV(rng.current) was chosen by somebody, not by the kernel.
      type: bool
      sample: false
    quality:
      description:
        - How many bits of entropy the kernel counts for each 1024 bits of RV(rng.current), from V(0) to V(1024).
        - With V(0) the kernel does not draw from it by itself. V(null) before Linux 5.18.
      type: int
      sample: 1024
    hwrng:
      description: The device C(/dev/hwrng).
      type: dict
      contains:
        present:
          description: Whether it exists and is a character device.
          type: bool
          sample: true
        readable:
          description: Whether it gave a byte within a second to the user of this task.
          type: bool
          sample: true
        why:
          description: What that rests on.
          type: str
          sample: a read gave a byte
    entropy_avail:
      description: The kernel's count of entropy, in bits. RV(rng.entropy_meaning) tells what it is worth.
      type: int
      sample: 256
    poolsize:
      description: The size of the kernel's entropy pool in bits, V(256) on new kernels and V(4096) before.
      type: int
      sample: 256
    entropy_meaning:
      description:
        - V(constant) where RV(rng.entropy_avail) counts to 256 once and stays there, so that it says nothing about
          the health of a machine. Linux 5.19 and later do, and stable and vendor kernels that got this change, which
          RV(rng.poolsize) gives away.
        - V(estimate) where it goes up and down.
      type: str
      sample: constant
    crng_ready:
      description: >-
        Whether the kernel's generator is initialized. V(null) where the kernel does not tell; a machine that serves SSH
        can be taken to be ready.
      type: bool
      sample: true
    crng_why:
      description: What RV(rng.crng_ready) rests on.
      type: str
      sample: "entropy_avail is 256: it counts to 256, and stays there once the kernel is ready"
    cpu:
      description:
        - The CPU's instructions for random numbers, some of V(rdrand), V(rdseed), V(rndr) and V(darn).
        - V(null) on architectures that do not show theirs, such as s390x.
      type: list
      elements: str
      sample: [rdrand, rdseed]
    kernel:
      description: The kernel that runs.
      type: dict
      contains:
        release:
          description: Its release, as C(uname -r) prints it.
          type: str
          sample: 6.1.0-30-amd64
        arch:
          description: Its architecture, as C(uname -m) prints it.
          type: str
          sample: x86_64
    os:
      description:
        - The distribution, by C(/etc/os-release) of the machine. A text is empty where that file does not say it.
        - V(null) without that file.
      type: dict
      contains:
        id:
          description: Its short name, in lower case.
          type: str
          sample: debian
        version:
          description: Its version.
          type: str
          sample: "12"
        name:
          description: Its name.
          type: str
          sample: Debian GNU/Linux
    arguments:
      description:
        - The kernel arguments that bear on random numbers, which are C(random.*), C(rng_core.*), C(virtio_rng.*),
          C(nordrand) and C(fips).
        - An argument without a value has an empty one.
      type: dict
      sample: {random.trust_cpu: "on"}
    fips:
      description: Whether the kernel is in FIPS mode.
      type: bool
      sample: false
    virtio_rng:
      description: The kernel's driver for virtio RNGs, V(builtin), V(loaded) as a module, or V(missing).
      type: str
      sample: loaded
    virtio_devices:
      description: The virtio RNGs that are attached, by the kernel's names for the devices, with or without a driver.
      type: list
      elements: str
      sample: [virtio2]
    daemons:
      description: >-
        The daemons that run to feed the kernel, some of V(rngd), V(haveged), V(jitterentropy-rngd), V(ekeyd) and
        V(infnoise). On systemd they are known by their units, elsewhere by the names of their processes.
      type: list
      elements: str
      sample: []
    broker:
      description:
        - The entropy broker of the machine, C(virtrngd), as its own status file tells (C(/run/virtrngd/status.json)).
        - V(null) where there is none. A file that is not what a broker writes is V(unreadable), and all but the reason
          is then V(null) or empty.
      type: dict
      contains:
        status:
          description:
            - V(running), V(unreadable), or V(stale) where the file was not updated for a minute by the machine's own
              clock. The broker has then stopped or hangs, and guests on its sockets wait.
          type: str
          sample: running
        why:
          description: "What is wrong, V(null) when it is V(running)."
          type: str
          sample: not updated for 90 seconds
        age: {description: The seconds since the last update., type: int, sample: 2}
        serving: {description: "The source that serves, V(null) when there is none.", type: str, sample: /dev/hwrng}
        waiting_long: {description: The guests that wait longer than 10 seconds., type: int, sample: 0}
        version: {description: The version of the daemon., type: str, sample: 0.1.0}
        pid: {description: The daemon's process., type: int, sample: 812}
        started: {description: When it was started first., type: float, sample: 1795000000.25}
        updated: {description: "When it wrote this, in Unix time.", type: float, sample: 1795003600.5}
        restarts:
          description: How often it started itself anew without closing a connection.
          type: int
          sample: 0
        rate:
          description: "What all guests may draw together, in bytes per second. V(null) is unlimited."
          type: int
          sample: 65536
        clients: {description: The connections that it has., type: int, sample: 12}
        refused:
          description: "The connections that it refused since it was started, being too many."
          type: int
          sample: 0
        protocol_errors:
          description: The connections that it closed because they do not speak EGD.
          type: int
          sample: 0
        sources:
          description: The sources, in order of preference.
          type: list
          elements: dict
          contains:
            source: {description: "A character device, or V(getrandom).", type: str, sample: /dev/hwrng}
            state:
              description: V(serving), V(standby), V(starting), V(stalled), V(failed) or V(missing).
              type: str
              sample: serving
            why: {description: Why it is not sound., type: str, sample: the repetition count test failed}
            bytes: {description: The bytes that guests got from it., type: int, sample: 5242880}
            failures: {description: How often it was cut off., type: int, sample: 0}
        classes:
          description: The tree of classes that share the rate.
          type: list
          elements: dict
          contains:
            name: {description: Its name., type: str, sample: gold}
            parent:
              description: "The class that it is below, V(null) for the whole host."
              type: str
              sample: prod
            rate: {description: "What it is guaranteed, in bytes per second.", type: int, sample: 3072}
            ceil:
              description: "What it may get by borrowing, in bytes per second. V(null) is unlimited."
              type: int
              sample: 8192
            burst: {description: The bytes that it may have at once., type: int, sample: 1024}
            priority: {description: "Who borrows first, V(0) before V(7).", type: int, sample: 0}
            clients: {description: Its connections., type: int, sample: 2}
            waiting: {description: Those of them that wait now., type: int, sample: 0}
            bytes: {description: The bytes that it was served., type: int, sample: 4000000}
            requests: {description: The requests that were served., type: int, sample: 62500}
            waits: {description: Those of them that had to wait., type: int, sample: 2}
            borrowed: {description: The bytes beyond its own rate., type: int, sample: 1024}
            sockets:
              description: Where its guests connect.
              type: list
              elements: str
              sample: [/run/virtrngd/gold.sock]
        guests:
          description: The guests that it serves, at most 200, those that wait longest first, then those that got most.
          type: list
          elements: dict
          contains:
            guest:
              description: "Its name, by its QEMU's command line, else V(pid) and the number."
              type: str
              sample: web1
            class: {description: Its class., type: str, sample: gold}
            pid: {description: Its QEMU process., type: int, sample: 2201}
            uid: {description: The user of that process., type: int, sample: 64055}
            bytes: {description: The bytes that it was served., type: int, sample: 2500000}
            requests: {description: The requests that were served., type: int, sample: 39062}
            waits: {description: Those of them that had to wait., type: int, sample: 2}
            waiting:
              description: "The seconds that its oldest request waits, V(null) for none."
              type: float
              sample: 0.2
        guests_total: {description: The guests that it serves., type: int, sample: 4}
    role:
      description:
        - V(host) for a machine that can run guests, whatever it runs on itself, else V(container), V(guest) or
          V(bare_metal).
      type: str
      sample: guest
    role_why:
      description: What RV(rng.role) rests on.
      type: str
      sample: the CPU reports a hypervisor
    unreadable:
      description: What could not be read, for example without O(ignore:become).
      type: list
      elements: dict
      contains:
        path:
          description: The file.
          type: str
          sample: /sys/class/dmi/id/sys_vendor
        reason:
          description: Why.
          type: str
          sample: Permission denied
    findings:
      description: What is worth saying about all this. A sound machine has none of severity V(error) or V(warning).
      type: list
      elements: dict
      contains:
        id:
          description: The finding's id, which never changes its meaning.
          type: str
          sample: RNG002
        severity:
          description:
            - V(error) when random numbers may be missing or late, now or at the next boot.
            - V(warning) when something is not used or does not work.
            - V(info) otherwise.
          type: str
          sample: warning
        subject:
          description: What it is about.
          type: str
          sample: virtio_rng
        message:
          description: What was found, in a sentence.
          type: str
          sample: A virtio RNG is attached, and no driver for it is loaded.
        remedy:
          description: What can be done.
          type: str
          sample: Load the module virtio_rng (modprobe virtio_rng) and have it loaded at boot (/etc/modules-load.d).
        evidence:
          description: The values of RV(rng) that it rests on.
          type: dict
          sample: {virtio_devices: [virtio2], virtio_rng: missing}
unsupported:
  description: Says that the machine does not run Linux.
  returned: when it does not
  type: bool
  sample: true
"""
