# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that looks into guests and at their processes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  guest_view:
    description:
      - Ask the QEMU guest agents of the running guests, several guests at a time. RV(guests[].guest_view) has the
        answers.
      - This needs the right to open a connection that may write, since libvirt takes commands for agents over no
        other. Nothing is changed in a guest.
      - A guest that does not answer, or answers nonsense, has that as its RV(guests[].guest_view.status). It never
        makes the module fail.
    type: bool
    default: false
  guest_exec:
    description:
      - With O(guest_view), let the agent run programs in the guest, namely the POSIX sh script of
        M(fleet.rng.rng_info), which sees everything that module sees, and that of O(measure).
      - Without it the agent is asked for a few files. Then RV(guests[].guest_view.rng) has V(null) where those do not
        tell. Guests whose agent does not offer C(guest-exec) are served in the same way.
    type: bool
    default: false
  measure:
    description:
      - With O(guest_view) and O(guest_exec), let each guest draw from C(/dev/hwrng) and measure how fast that goes.
        RV(guests[].guest_view.measured) has the result.
      - Of a device with a rate, the quota that may be had at once is drawn first and does not count, then as many
        whole quotas as the limits allow. The time runs from the beginning, so that a limit that works is never
        overrated; it is underrated by up to one period. The more quotas, the closer.
      - With fewer than two quotas there is no rate. Two take four periods.
      - What a guest draws here, the kernel of that guest and the programs in it do not get.
    type: dict
    suboptions:
      seconds:
        description: The most seconds that it may take in the guest, from V(1) to V(60).
        type: int
        default: 5
      bytes:
        description: The most bytes that a guest may draw, from V(256) to V(16777216).
        type: int
        default: 65536
  host_view:
    description:
      - Look in C(/proc) of the host whether the QEMU process of each running guest really has the sources of its RNGs
        open. RV(guests[].host_view) has the answers.
      - Only root may look at the processes of others.
    type: bool
    default: false
  monitor:
    description:
      - With O(host_view), also ask QEMU itself for the rates and sources of its RNGs, with queries of its monitor.
      - libvirt marks a guest as tainted (C(custom-monitor)) when its monitor is used past libvirt, until the guest is
        shut off.
    type: bool
    default: false
  guests:
    description:
      - The names or UUIDs of the guests to which O(guest_view) and O(host_view) are limited. All guests are listed in
        any case.
      - A name that no guest bears is reported with a warning. Without this option all running guests are asked.
    type: list
    elements: str
  timeout:
    description:
      - The seconds that the agent of one guest may take for all of its answers, from V(1) to V(600). What O(measure)
        takes is not counted.
      - Eight guests are asked at a time. One that hangs longer than this and a few more seconds is given up.
    type: int
    default: 10
  sources:
    description:
      - Sources to try on the host, spelled as O(fleet.rng.libvirt_rng#module:devices[].source). RV(host.sources) says
        whether a guest could live on them. A few bytes are read from each, with the rights of QEMU where this is
        root.
      - V(broker) stands for every socket that the broker of the host has. RV(host.sources) then has each of them, and
        for V(broker) itself why there are none.
    type: list
    elements: str
    default: []
"""
