# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/plan: collects the variables that Ansible knows, and hands them over as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.capabilities import capabilities_of
from ansible_collections.fleet.rng.plugins.plugin_utils.plan import Hypervisor, InventoryGuest, Settings, make_plan
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import (
    DEFAULTS,
    HOST_FIELDS,
    KNOWN_VARIABLES,
    PREFIX,
    Untemplated,
)

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
        variables = _Variables(self._task, self._templar, task_vars["hostvars"])
        unknown = [name for name in hosts if name not in task_vars["hostvars"]]
        if unknown:
            raise AnsibleActionFail(
                f"hosts: not in the inventory: {', '.join(printable(name, 80) for name in unknown)}"
            )
        registered = (options["observation"], options["source_tests"])
        planned = {name: variables.hypervisor(name, *registered) for name in hosts}
        others = dict.fromkeys([*groups.get(options["hypervisors"], ()), *_reached(planned.values(), groups)])
        plan = make_plan(
            list(hosts),
            [
                *planned.values(),
                *(variables.hypervisor(name, *registered) for name in others if name not in planned),
            ],
            [variables.guest(name, options["uuid_variable"]) for name in groups.get(options["guests"], ())],
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


def _unknown(variables: Mapping[str, Any], *named_by_options: str) -> tuple[str, ...]:
    """The variables that begin like ours and mean nothing: most likely a mistake in writing."""
    ours = (name for name in variables if name.startswith(PREFIX))
    return tuple(name for name in ours if name not in KNOWN_VARIABLES and name not in named_by_options)


class _Variables:
    """The policy variables of inventory hosts, each templated with that host's own variables, and no others."""

    def __init__(self, task: Any, templar: Any, hostvars: Any) -> None:
        self._task = task
        self._templar = templar
        self._hostvars = hostvars

    def hypervisor(self, name: str, observation: str, tests: str) -> Hypervisor:
        """With what the play, its roles and this task set: hypervisors are the hosts that the play is about."""
        # hostvars leaves those out, hence the variable manager, as for any task that runs on that host.
        host = self._hostvars._inventory.get_host(name)
        variables = self._task.get_variable_manager().get_vars(
            play=self._task.get_play(), host=host, task=self._task, include_hostvars=False
        )
        policy = self._policy(variables, (*DEFAULTS, *HOST_FIELDS))
        unknown = _unknown(variables, observation, tests)
        return Hypervisor(name, policy, variables.get(observation), unknown, variables.get(tests))

    def guest(self, name: str, uuid_variable: str) -> InventoryGuest:
        variables = self._hostvars.raw_get(name)
        uuid = self._value(uuid_variable, variables) if variables.get(uuid_variable) is not None else None
        return InventoryGuest(name, self._policy(variables, DEFAULTS), uuid, _unknown(variables, uuid_variable))

    def _policy(self, variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        return {name: self._value(PREFIX + name, variables) for name in names if PREFIX + name in variables}

    def _value(self, name: str, variables: Mapping[str, Any]) -> Any:
        value = variables[name]
        if not isinstance(value, str | list | dict):
            return value
        try:
            templar = self._templar.copy_with_new_env(available_variables={**variables, "hostvars": self._hostvars})
            return templar.template(value)
        except AnsibleError as error:
            return Untemplated(printable(str(error), 300))
