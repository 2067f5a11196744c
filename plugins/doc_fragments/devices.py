# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options and return values that every module which converges guests has."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  devices:
    description:
      - The guests to converge, and the virtio RNG that each is to have.
      - Guests that are not listed are not touched. An empty list changes nothing.
      - M(fleet.rng.rng_plan) returns this list, made from the inventory's policy.
    type: list
    elements: dict
    required: true
    suboptions:
      guest:
        description: Name or UUID of the guest. Any name that the hypervisor allows is taken literally.
        type: str
        required: true
      state:
        description:
          - V(present) gives the guest this device.
          - V(absent) takes its virtio RNGs away. The other options are then ignored.
        type: str
        choices: [present, absent]
        default: present
      source:
        description:
          - Where the host gets the bytes from.
          - An absolute path of a character device, such as V(/dev/urandom), V(/dev/random) or V(/dev/hwrng).
          - V(builtin) is QEMU's own use of C(getrandom), for QEMU 4.2 and later.
          - V(egd+unix:/path), V(egd+tcp://host:port) or V(egd+udp://host:port) is a daemon that speaks EGD.
          - It is checked on the host before a guest gets it. A path that is not a character device, gives no bytes, or
            could be swapped by others than root is refused, since QEMU aborts on a source that it cannot read and
            freezes on one that ends.
          - V(/dev/hwrng) needs a hardware RNG that the kernel has selected. An EGD socket must accept connections.
        type: raw
        default: /dev/urandom
      max_bytes:
        description:
          - The bytes that the guest may draw in each O(devices[].period), an integer from V(1), or V(unlimited).
          - V(0) is refused, because QEMU would never serve the guest while others take it for no limit.
          - This is a quota that a timer renews, not a stream. Nothing that is not drawn is carried over.
          - Best a multiple of what a Linux guest asks for at a time, V(64), or V(256) on s390x and V(128) on ppc64.
            Readers in some newer guests stall after the shorter answer that ends any other quota.
        type: raw
        default: 1024
      period:
        description: The length of a period in milliseconds, from V(1) to V(4294967295).
        type: raw
        default: 1000
      model:
        description: >-
          The device model. V(virtio) leaves the choice to the machine type, V(virtio-transitional) also serves drivers
          from before virtio 1.0, V(virtio-non-transitional) only those since.
        type: str
        choices: [virtio, virtio-transitional, virtio-non-transitional]
        default: virtio
      driver:
        description:
          - "Virtio driver options: a mapping of V(iommu), V(ats), V(packed) or V(page_per_vq) to a boolean."
          - An option that is left out keeps the hypervisor's own default.
          - Confidential guests (SEV, TDX) need V(iommu). It is refused for a device that also serves drivers of before
            virtio 1.0, since QEMU would not start the guest.
        type: dict
        default: {}
      restart:
        description:
          - Whether the guest may be shut down and started again, where its change or an earlier one needs that. A guest
            that needs no restart is never restarted.
          - It is not while any guest of the host is being migrated or backed up, if it is paused or transient, if
            its source has become unsafe, or where guests of this kind of hypervisor cannot be restarted.
            RV(guests[].reason) says so, and RV(guests[].live) stays V(needs_restart).
          - In check mode the reason tells that it would be restarted.
        type: bool
        default: false
  live:
    description:
      - Whether a guest that runs may be changed now.
      - With V(false) only its configuration changes. RV(guests[].live) is V(needs_restart) until its next start.
    type: bool
    default: true
  exclusive:
    description:
      - Whether the guest is to have this virtio RNG and no other.
      - With V(false) only devices that this collection attached are replaced and removed. A device that somebody else
        attached, and that is just like the wanted one, is still recognized.
    type: bool
    default: true
  wait:
    description:
      - The seconds that a running guest has to release a device, from V(0) to V(600).
      - A guest that has not done so in time keeps it, as RV(guests[].live=pending_removal).
      - A later run finishes the removal.
    type: int
    default: 5
  restart_serial:
    description:
      - How many guests of the host are down for a restart at once, from V(1) to V(100).
      - The next ones follow as soon as those before them run again, which does not say that their services are up.
      - After a restart that failed no more follow.
    type: int
    default: 1
  restart_timeout:
    description:
      - The seconds that a guest has to shut down for its restart, from V(1) to V(3600).
      - A guest that has not done so is left running, and has an error that says so. It may still shut down later, and
        is then not started again.
    type: int
    default: 300
  restart_force:
    description: >-
      Whether a guest that does not shut down in time is turned off without its consent, as if its plug were pulled.
      What it has not written is lost.
    type: bool
    default: false
"""
