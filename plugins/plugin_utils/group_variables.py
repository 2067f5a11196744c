# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that each inventory group sets itself, which Ansible tells nobody once it has merged them for a host.

They are read as Ansible does it: from the inventory, then from the group_vars (and whatever else plugins read) beside
the inventory, then from those beside the playbook. Nothing of it is templated here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import FIELDS, InventoryGroup
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import BROKER_PREFIX, PREFIX

STAGE = "task"  # as for a task; what plugins read while the inventory is parsed is in its groups already
NEEDED = {**{BROKER_PREFIX + name: name for name in FIELDS}, PREFIX + "source": "source"}


def inventory_groups(
    inventory: Any, loader: Any, guests: Collection[str], hypervisors: Collection[str], *, beside_playbook: bool = True
) -> dict[str, InventoryGroup]:
    """The groups that matter to brokers: those with guests or hypervisors, and those without any host.

    :param inventory: Ansible's InventoryManager.
    :param loader: Ansible's DataLoader.
    :param beside_playbook: whether Ansible reads the group_vars there, which it does not for a command without one.
    """
    here, machines = frozenset(guests), frozenset(hypervisors) - frozenset(guests)
    folders = [loader.get_basedir()] if beside_playbook else []
    found = {}
    for name, group in inventory.groups.items():
        hosts = [host.name for host in group.get_hosts()]
        apart = next((host for host in hosts if host in machines), "")
        if hosts and not apart and here.isdisjoint(hosts):
            continue
        problem, variables = "", {}
        try:
            variables = _own(group, inventory._sources, loader, folders)
        except AnsibleError as error:
            problem = printable(str(error), 300)
        ancestors = frozenset(one.name for one in group.get_ancestors())
        found[str(name)] = InventoryGroup(str(name), ancestors, hosts, variables, problem, apart)
    return found


def _own(group: Any, sources: Sequence[str], loader: Any, folders: Sequence[str]) -> dict[str, Any]:
    """What we need of the variables of a group, by short names. The strongest come last."""
    layers: list[Mapping[str, Any]] = [
        group.get_vars(),
        get_vars_from_inventory_sources(loader, sources, [group], STAGE),
        *(get_vars_from_path(loader, folder, [group], STAGE) for folder in folders),
    ]
    return {short: layer[name] for layer in layers for name, short in NEEDED.items() if name in layer}
