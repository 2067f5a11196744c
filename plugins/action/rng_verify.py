# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/verify: collects what hypervisors and guests registered, and hands it over as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.capabilities import capabilities_of
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import PREFIX, Untemplated, host_switch
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import Evidence, verify

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "hosts": {"type": "list", "elements": "str"},
    "plan": {"type": "str", "default": "virtio_rng_plan"},
    "observation": {"type": "str", "default": "virtio_rng_observation"},
    "result": {"type": "str", "default": "virtio_rng_result"},
    "proof": {"type": "str", "default": "virtio_rng_proof"},
    "inside": {"type": "str", "default": "virtio_rng_inside"},
    "guests": {"type": "str", "default": "guests"},
    "exclusive": {"type": "bool"},
    "strict": {"type": "bool"},
}
SWITCHES = {"exclusive": True, "verify_strict": False}  # variables of a hypervisor, with their defaults


class ActionModule(ActionBase):
    """Judge the guests of several hypervisors; runs once for all of them."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        del tmp
        task_vars = task_vars or {}
        options, mistakes = validate("rng_verify", ARGUMENT_SPEC, self._task.args)
        if mistakes:
            raise AnsibleActionFail(mistakes)
        hostvars = task_vars["hostvars"]
        hosts = task_vars["ansible_play_batch"] if options["hosts"] is None else options["hosts"]
        unknown = [name for name in hosts if name not in hostvars]
        if unknown:
            raise AnsibleActionFail(
                f"hosts: not in the inventory: {', '.join(printable(name, 80) for name in unknown)}"
            )
        evidence = [self._evidence(name, hostvars, options) for name in hosts]
        guests = frozenset(task_vars["groups"].get(options["guests"], ()))

        def inside(name: str) -> Any:
            return hostvars.raw_get(name).get(options["inside"]) if name in guests else None

        result.update(changed=False, verification=verify(evidence, inside, capabilities_of))
        return result

    def _evidence(self, name: str, hostvars: Any, options: Mapping[str, Any]) -> Evidence:
        """With what the play, its roles and this task set: hypervisors are the hosts that the play is about."""
        # hostvars leaves those out, hence the variable manager, as for any task that runs on that host.
        variables = self._task.get_variable_manager().get_vars(
            play=self._task.get_play(), host=hostvars._inventory.get_host(name), task=self._task, include_hostvars=False
        )
        registered = {key: variables.get(options[key]) for key in ("plan", "observation", "result", "proof")}
        try:
            given = {"exclusive": options["exclusive"], "verify_strict": options["strict"]}
            switches = {
                field: self._switch(name, field, variables, hostvars) if given[field] is None else given[field]
                for field in SWITCHES
            }
        except RngError as error:
            return Evidence(name, **registered, problem=str(error))
        return Evidence(name, **registered, exclusive=switches["exclusive"], strict=switches["verify_strict"])

    def _switch(self, host: str, field: str, variables: Mapping[str, Any], hostvars: Any) -> bool:
        value = variables.get(PREFIX + field)
        if isinstance(value, str):
            try:
                templar = self._templar.copy_with_new_env(available_variables={**variables, "hostvars": hostvars})
                value = templar.template(value)
            except AnsibleError as error:
                value = Untemplated(printable(str(error), 300))
        return host_switch(host, field, value, SWITCHES[field])
