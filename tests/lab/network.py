# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one bridge per lab on the controller, a /22 of 10.57.0.0/16 each.

The kernel itself keeps the books: creating the bridge claims the index, and its alias names the lab that owns it. So
labs that start at the same time never collide, and a crashed lab's bridge is found again.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LabError
from .process import run

POOL = ipaddress.IPv4Network("10.57.0.0/16")
PREFIX = 22
FIRST_GUEST = 512  # hosts have the lower half of the addresses, guests the upper one


@dataclass(frozen=True)
class Network:
    """The addresses and names of one lab."""

    index: int

    @property
    def bridge(self) -> str:
        """The bridge on the controller."""
        return f"rnglab{self.index}"

    def host_address(self, number: int) -> ipaddress.IPv4Interface:
        """The address of the nth host, from 0; the first address of all is the controller's."""
        return self._address(2 + number, FIRST_GUEST)

    def guest_address(self, number: int) -> ipaddress.IPv4Interface:
        """The address of the nth guest of the whole lab, from 0."""
        return self._address(FIRST_GUEST + number, 1022)

    def _address(self, offset: int, end: int) -> ipaddress.IPv4Interface:
        if offset >= end:
            raise LabError(f"a lab has addresses for {FIRST_GUEST - 2} hosts and {1022 - FIRST_GUEST} guests with SSH")
        base = int(POOL.network_address) + self.index * 2 ** (32 - PREFIX)
        return ipaddress.IPv4Interface(f"{ipaddress.IPv4Address(base + offset)}/{PREFIX}")

    @classmethod
    def claim(cls, owner: Path) -> Network:
        """Create the bridge with the first free index."""
        taken = [ipaddress.IPv4Interface(f"{item['local']}/{item['prefixlen']}").network for item in _addresses()]
        for index in range(1, 2 ** (PREFIX - POOL.prefixlen)):
            network = cls(index)
            address = network._address(1, 2)
            if any(address.network.overlaps(other) for other in taken):
                continue
            try:
                run("ip", "link", "add", network.bridge, "type", "bridge")
            except LabError:
                if Path("/sys/class/net", network.bridge).exists():
                    continue  # another lab was faster
                raise
            run("ip", "link", "set", network.bridge, "alias", _alias(owner), "up")
            run("ip", "addr", "add", str(address), "dev", network.bridge)
            return network
        raise LabError(f"no network of {POOL} is free: {2 ** (PREFIX - POOL.prefixlen) - 1} labs are running")

    @staticmethod
    def release(owner: Path) -> None:
        """Remove whatever bridge this lab has, and the links of its hosts."""
        for alias in Path("/sys/class/net").glob("rnglab*/ifalias"):
            try:
                owned = alias.read_text().strip() == _alias(owner)
            except OSError:  # another lab has just taken its own down
                continue
            if not owned:
                continue
            for port in (alias.parent / "brif").iterdir():
                # The end of its host removes a link, too, but a moment later: then it may be gone already.
                subprocess.run(["ip", "link", "del", port.name], capture_output=True, check=False)
            run("ip", "link", "del", alias.parent.name)

    def plug(self, number: int, pid: int) -> None:
        """Give the network namespace of process ``pid`` an eth0 on the bridge."""
        address = self.host_address(number)
        outside = f"rl{self.index}h{number}"
        peer = ["peer", "name", "eth0", "address", mac("02:00", address), "netns", str(pid)]
        run("ip", "link", "add", outside, "type", "veth", *peer)
        run("ip", "link", "set", outside, "master", self.bridge, "up")


def mac(start: str, address: ipaddress.IPv4Interface) -> str:
    """A MAC address that belongs to an address, so that nothing outlives its host in a neighbor cache."""
    return ":".join([start, *(f"{byte:02x}" for byte in address.packed)])


def _alias(owner: Path) -> str:
    return str(owner)[-250:]


def _addresses() -> list[dict[str, Any]]:
    links = json.loads(run("ip", "-json", "-4", "addr", "show"))
    return [item for link in links for item in link.get("addr_info", [])]
