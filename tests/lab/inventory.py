# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a lab."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from .guest import Guest
from .host import Host


def write_inventory(path: Path, hosts: Iterable[Host], guests: Iterable[Guest], key: Path) -> None:
    """Write the groups ``hypervisors`` and ``guests``, and those that the spec names."""
    groups: dict[str, dict[str, Any]] = {"hypervisors": {}, "guests": {}}
    for host in hosts:
        entry = {"ansible_host": host.address, **_connection(key)}
        groups.setdefault("machines" if host.spec.kind == "none" else "hypervisors", {})[host.name] = entry
        for group in host.spec.groups:
            groups.setdefault(group, {})[host.name] = {}
    for guest in guests:
        groups["guests"][guest.name] = {"lab_host": guest.host.name}
        if guest.address:
            groups["guests"][guest.name].update({"ansible_host": guest.address.partition("/")[0], **_connection(key)})
        for group in guest.spec.groups:
            groups.setdefault(group, {}).setdefault(guest.name, {})
    children = {name: {"hosts": members} for name, members in groups.items()}
    path.write_text("# Written by the lab\n" + yaml.safe_dump({"all": {"children": children}}, sort_keys=False))


def _connection(key: Path) -> dict[str, Any]:
    options = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": options,
        "ansible_ssh_pipelining": True,
        "ansible_ssh_timeout": 120,  # seconds; a guest under TCG on a busy machine is slow to shake hands
        "ansible_python_interpreter": "/usr/bin/python3",
    }
