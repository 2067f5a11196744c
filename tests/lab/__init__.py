# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of real hypervisors and real guests on one machine, without KVM, containers or systemd.

Each host lives in namespaces of its own, with its own libvirtd or plain QEMU, sshd, /etc, /var, /dev and hardware RNG.
Guests are real QEMU machines that boot Debian's (or Ubuntu's) kernel in a few seconds.

    with Lab(LabSpec.load("fleet.yml")) as lab:
        lab.host("hv1").run("virsh", "list")
        assert lab.guest("web1").rng_current() == "virtio_rng.0"
"""

from __future__ import annotations

from .errors import LabError
from .fleet import Lab
from .guest import Draw, Guest
from .host import Host
from .qemu import QemuGuest
from .spec import GuestSpec, HostSpec, HwRng, LabSpec

__all__ = ["Draw", "Guest", "GuestSpec", "Host", "HostSpec", "HwRng", "Lab", "LabError", "LabSpec", "QemuGuest"]
