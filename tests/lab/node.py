# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of a lab's Proxmox VE node, which a stand-in plays: nothing of them runs."""

from __future__ import annotations

from typing import Any

from .domain import GuestNet
from .errors import LabError
from .guest import Guest
from .process import PATIENCE
from .proxmox import FIRST, Files


class NodeGuest(Guest):
    """A guest that is no more than a configuration, and a record of whether it runs."""

    @property
    def vmid(self) -> int:
        """Its number: they are given in the order of the spec."""
        return FIRST + 1 + self.host.spec.guests.index(self.spec)

    def define(self, net: GuestNet | None) -> None:
        """Write its file, as if it had been created and changed before."""
        del net  # it has none: nothing runs
        text = f"name: {self.name}\n{self.spec.config}"
        Files(self.host.directory / "proxmox").add(self.vmid, text, running=False)

    def start(self) -> None:
        self._status("start")

    def destroy(self) -> None:
        self._status("stop")

    def _status(self, verb: str) -> None:
        self.host.check("pvesh", "create", f"/nodes/localhost/qemu/{self.vmid}/status/{verb}")

    def wait(self, timeout: float = PATIENCE) -> None:
        """Nothing boots."""

    def agent(self, command: str, timeout: int = 120, **arguments: Any) -> Any:
        del timeout, arguments
        raise LabError(f"{self.who}: there is no system in it that {command} could go to")
