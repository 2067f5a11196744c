# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/plan: collects the variables that Ansible knows, and hands them over as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.capabilities import capabilities_of
from ansible_collections.fleet.rng.plugins.plugin_utils.inventory_variables import Brokers, Variables
from ansible_collections.fleet.rng.plugins.plugin_utils.plan import Hypervisor, Settings, make_plan

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "hosts": {"type": "list", "elements": "str"},
    "observation": {"type": "str", "default": "virtio_rng_observation"},
    "source_tests": {"type": "str", "default": "virtio_rng_source_tests"},
    "guests": {"type": "str", "default": "guests"},
    "hypervisors": {"type": "str", "default": "hypervisors"},
    "uuid_variable": {"type": "str", "default": "virtio_rng_uuid"},
    "live": {"type": "bool"},
    "exclusive": {"type": "bool"},
    "policies": {"type": "bool", "default": False},
    "explain": {"type": "str", "default": "all", "choices": ["all", "changes"]},
}


class ActionModule(ActionBase):
    """Plan what the guests of several hypervisors should have; runs once for all of them."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        del tmp
        task_vars = task_vars or {}
        options, mistakes = validate("rng_plan", ARGUMENT_SPEC, self._task.args)
        if mistakes:
            raise AnsibleActionFail(mistakes)
        groups: Mapping[str, list[str]] = task_vars["groups"]
        hosts = task_vars["ansible_play_batch"] if options["hosts"] is None else options["hosts"]
        variables = Variables(self._task, self._templar, task_vars["hostvars"])
        brokers = Brokers(variables, self._loader)
        unknown = [name for name in hosts if name not in task_vars["hostvars"]]
        if unknown:
            raise AnsibleActionFail(
                f"hosts: not in the inventory: {', '.join(printable(name, 80) for name in unknown)}"
            )
        registered = (options["observation"], options["source_tests"])
        planned = {name: variables.hypervisor(name, *registered, brokers) for name in hosts}
        others = dict.fromkeys([*groups.get(options["hypervisors"], ()), *_reached(planned.values(), groups)])
        guests = [variables.guest(name, options["uuid_variable"]) for name in groups.get(options["guests"], ())]
        brokers.know({*planned, *others}, guests)
        plan = make_plan(
            list(hosts),
            [
                *planned.values(),
                *(variables.hypervisor(name, *registered) for name in others if name not in planned),
            ],
            guests,
            Settings(
                capabilities_of,
                uuid_variable=options["uuid_variable"],
                live=options["live"],
                exclusive=options["exclusive"],
                only_changes=options["explain"] == "changes",
                groups=_groups_within(groups, options["guests"]) if options["policies"] else None,
                all_groups=groups,
            ),
            complete=options["hypervisors"] in groups,
        )
        if options["guests"] not in groups:
            name = printable(options["guests"], 80)
            plan["warnings"].append(
                f"the inventory has no group {name}: the hypervisors' variables hold for all guests"
            )
        result.update(changed=False, plan=plan)
        return result


def _reached(hypervisors: Iterable[Hypervisor], groups: Mapping[str, list[str]]) -> list[str]:
    """The hosts that guests of these hypervisors may move to; what is wrong with a variable, the plan says."""
    named = [hypervisor.variables.get("migration_groups") for hypervisor in hypervisors]
    reached = dict.fromkeys(
        group for names in named if isinstance(names, list) for group in names if isinstance(group, str)
    )
    return [host for group in reached for host in groups.get(group, ())]


def _groups_within(groups: Mapping[str, list[str]], guests: str) -> dict[str, list[str]]:
    """The inventory groups that hold guests and nothing else."""
    known = set(groups.get(guests, ()))
    return {name: hosts for name, hosts in groups.items() if hosts and known.issuperset(hosts)}
