# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/broker_config: the configuration of the broker on the host of the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_config import configuration, served
from ansible_collections.fleet.rng.plugins.plugin_utils.inventory_variables import Brokers, Variables
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import DEFAULTS, PREFIX

# Keys of the daemon's configuration. What is not given is left to its defaults.
SETTINGS: dict[str, dict[str, Any]] = {
    "sources": {"type": "list", "elements": "raw"},
    "when_failing": {"type": "str", "choices": ["fallback", "wait"]},
    "conditioning": {"type": "bool"},
    "accept_entropy": {"type": "bool"},
    "socket_mode": {"type": "str"},
    "socket_group": {"type": "str"},
    "clients": {"type": "int"},
    "clients_per_socket": {"type": "int"},
    "clients_per_process": {"type": "int"},
    "control_mode": {"type": "str"},
    "control_group": {"type": "str"},
    "metrics_file": {"type": "str"},
}
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "guests": {"type": "str", "default": "guests"},
    "hypervisors": {"type": "str", "default": "hypervisors"},
    **SETTINGS,
}


class ActionModule(ActionBase):
    """Make the configuration of the broker on one hypervisor."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        task_vars = task_vars or {}
        options, mistakes = validate("rng_broker_config", ARGUMENT_SPEC, self._task.args)
        if mistakes:
            raise AnsibleActionFail(mistakes)
        name: str = task_vars["inventory_hostname"]
        groups: Mapping[str, list[str]] = task_vars["groups"]
        variables = Variables(self._task, self._templar, task_vars["hostvars"])
        raw = variables.raw(name)
        policy = variables.policy(raw, (*DEFAULTS, "overrides"))
        guests = [variables.guest(guest, PREFIX + "uuid") for guest in groups.get(options["guests"], ())]
        brokers = Brokers(variables, self._loader)
        brokers.know({name, *groups.get(options["hypervisors"], ())}, guests)
        settings = {key: options[key] for key in SETTINGS}
        try:
            classes = brokers.classes(name, policy, raw)
            counts = served(classes, policy, {guest.name: guest.variables for guest in guests})
            made = configuration(classes, settings, counts)
        except RngError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": False, "config": made.config, "text": made.text, "classes": made.classes}
