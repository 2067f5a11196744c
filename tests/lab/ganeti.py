# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ganeti cluster of one node, on a host of a lab: Debian's packages, and instances without disks under TCG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .domain import IMAGES, GuestNet, image, kernel_arguments
from .guest import Guest
from .host import Host
from .packages import install
from .process import Progress, say
from .qemu import Sockets
from .spec import GuestSpec

DOMAIN = "example.test"


def prepare(progress: Progress = say) -> None:
    """Install Ganeti on this machine; where it does not run, without a cluster. Do it before the host is booted."""
    install(["ganeti"], progress)


class Cluster:
    """The cluster whose only node is a host of the lab. It ends with the host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.node = f"{host.name}.{DOMAIN}"

    def gnt(self, command: str, *arguments: str) -> str:
        """``gnt-COMMAND ...``, which has to succeed."""
        return self.host.check(f"gnt-{command}", *arguments)

    def name(self, instance: str) -> str:
        return f"{instance}.{DOMAIN}"

    def add(self, instance: str, *parameters: str, memory: int = 128) -> str:
        """An instance that is off and has no disk; answers its full name.

        :param parameters: more hypervisor parameters, as ``-H`` takes them.
        :param memory: in MiB.
        """
        given = ["-H", "kvm:" + ",".join(parameters)] if parameters else []
        self.gnt(
            *("instance", "add", "-t", "diskless", "--no-install", "--no-start", "--no-name-check", "--no-ip-check"),
            *("-n", self.node, "-o", "noop+default", "--net", "0:mode=bridged,link=gnt0", "-B", f"memory={memory}"),
            *(*given, self.name(instance)),
        )
        return self.name(instance)

    def remove(self, instance: str) -> None:
        self.gnt("instance", "remove", "-f", "--shutdown-timeout=0", self.name(instance))

    def own(self, instance: str) -> dict[str, Any]:
        """The hypervisor parameters that it has values of its own for, as the master has stored them."""
        stored = json.loads(self.host.check("cat", "/var/lib/ganeti/config.data"))
        (found,) = [one for one in stored["instances"].values() if one["name"] == self.name(instance)]
        own: dict[str, Any] = found["hvparams"]
        return own

    def command_line(self, instance: str) -> list[str]:
        """The words that its QEMU was started with."""
        pid = self.host.check("cat", f"/run/ganeti/kvm-hypervisor/pid/{self.name(instance)}").strip()
        return self.host.check("cat", str(Path("/proc", pid, "cmdline"))).split("\0")[:-1]


def linux_parameters(guest: GuestSpec) -> list[str]:
    """The hypervisor parameters that make an instance boot a system of the lab."""
    return [
        f"kernel_path={IMAGES}/vmlinuz",
        f"initrd_path={IMAGES}/{image(guest)}",
        f"kernel_args={kernel_arguments(guest, None)}",
        "serial_console=False",
        "use_guest_agent=True",
    ]


def escaped(text: str) -> str:
    """A parameter, as ``-H`` takes it."""
    return text.replace("\\", "\\\\").replace(",", "\\,")


class Instance(Sockets, Guest):
    """A guest of a lab's Ganeti cluster."""

    def __init__(self, host: Host, spec: GuestSpec, address: str | None = None) -> None:
        super().__init__(host, spec, address)
        self.cluster = Cluster(host)
        self.full_name = self.cluster.name(spec.name)

    def define(self, net: GuestNet | None) -> None:
        """Add it; it is off."""
        del net  # nothing connects to it
        parameters = [*([] if self.spec.firmware_only else linux_parameters(self.spec)), *self.spec.parameters]
        self.cluster.add(self.name, *map(escaped, parameters), memory=self.spec.memory)

    def start(self) -> None:
        self.cluster.gnt("instance", "start", self.full_name)

    def destroy(self) -> None:
        self.cluster.gnt("instance", "shutdown", "--timeout=0", self.full_name)

    @property
    def monitor(self) -> Path:
        return self._control("qmp")

    @property
    def agent_socket(self) -> Path:
        return self._control("qga")

    def _control(self, kind: str) -> Path:
        root = Path(f"/proc/{self.host.process().pid}/root")
        return root / f"run/ganeti/kvm-hypervisor/ctrl/{self.full_name}.{kind}"
