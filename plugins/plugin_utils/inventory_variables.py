# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible knows of hypervisors, guests and groups, as the values that plans and brokers are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import (
    CLASSES_VARIABLE,
    RATE_VARIABLE,
    BrokerHost,
    Classes,
    Sockets,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import Fleet
from ansible_collections.fleet.rng.plugins.plugin_utils.group_variables import inventory_groups
from ansible_collections.fleet.rng.plugins.plugin_utils.plan import Hypervisor, InventoryGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import (
    BROKER_PREFIX,
    DEFAULTS,
    HOST_FIELDS,
    KNOWN_VARIABLES,
    PREFIX,
    Untemplated,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.templating import templated


def unknown(variables: Mapping[str, Any], *named_by_options: str) -> tuple[str, ...]:
    """The variables that begin like ours and mean nothing: most likely a mistake in writing."""
    ours = (name for name in variables if name.startswith((PREFIX, BROKER_PREFIX)))
    return tuple(name for name in ours if name not in KNOWN_VARIABLES and name not in named_by_options)


class Variables:
    """The policy variables of inventory hosts, each templated with that host's own variables, and no others."""

    def __init__(self, task: Any, templar: Any, hostvars: Any) -> None:
        self._task = task
        self._templar = templar
        self._hostvars = hostvars
        self._manager = task.get_variable_manager()
        self.inventory = hostvars._inventory
        # A command without a playbook has no directory that variables would be read from.
        self.beside_playbook = bool(getattr(self._manager, "safe_basedir", True))

    def hypervisor(self, name: str, observation: str, tests: str, brokers: Brokers | None = None) -> Hypervisor:
        """With what the play, its roles and this task set: hypervisors are the hosts that the play is about.

        :param brokers: where its guests are to be planned.
        """
        variables = self.raw(name)
        policy = self.policy(variables, (*DEFAULTS, *HOST_FIELDS))
        found = brokers.sockets(name, policy, variables) if brokers else None
        looks_like_ours = unknown(variables, observation, tests)
        return Hypervisor(name, policy, variables.get(observation), looks_like_ours, variables.get(tests), found)

    def guest(self, name: str, uuid_variable: str) -> InventoryGuest:
        try:
            variables = self._hostvars.raw_get(name)
        except AnsibleError as error:  # such as one of its files that is encrypted with a password nobody gave
            unread = Untemplated(printable(str(error), 300), "its variables cannot be read")
            return InventoryGuest(name, {"state": unread})
        uuid = self.value(uuid_variable, variables) if variables.get(uuid_variable) is not None else None
        return InventoryGuest(name, self.policy(variables, DEFAULTS), uuid, unknown(variables, uuid_variable))

    def raw(self, name: str) -> dict[str, Any]:
        """Of a hypervisor, not templated."""
        # hostvars leaves out what the play sets, hence the variable manager, as for any task that runs on that host.
        found: dict[str, Any] = self._manager.get_vars(
            play=self._task.get_play(), host=self.inventory.get_host(name), task=self._task, include_hostvars=False
        )
        return found

    def policy(self, variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """The values by the variables' names without their prefix."""
        return {name: self.value(PREFIX + name, variables) for name in names if PREFIX + name in variables}

    def value(self, name: str, variables: Mapping[str, Any]) -> Any:
        return self.template(variables[name], variables)

    def template(self, value: Any, variables: Mapping[str, Any]) -> Any:
        return templated(self._templar, value, variables, self._hostvars)


class Brokers:
    """The brokers' classes. The groups' variables are read when the first guest asks for a broker, and only then."""

    def __init__(self, variables: Variables, loader: Any) -> None:
        self._variables = variables
        self._loader = loader
        self._fleet: Fleet | None = None
        self._guests: Mapping[str, Any] = {}
        self._hypervisors: Collection[str] = ()

    def know(self, hypervisors: Collection[str], guests: Iterable[InventoryGuest]) -> None:
        """Who is who; before the first guest asks."""
        self._hypervisors = hypervisors
        self._guests = {guest.name: guest.variables.get("source") for guest in guests}

    def sockets(self, name: str, policy: Mapping[str, Any], variables: Mapping[str, Any]) -> Sockets:
        """Of one hypervisor, by its policy and its raw variables."""
        return Sockets(lambda: self.classes(name, policy, variables))

    def classes(self, name: str, policy: Mapping[str, Any], variables: Mapping[str, Any]) -> Classes:
        if self._fleet is None:
            here = self._variables
            groups = inventory_groups(
                here.inventory, self._loader, self._guests, self._hypervisors, beside_playbook=here.beside_playbook
            )
            self._fleet = Fleet(groups, self._guests)
        classes, rate = (
            self._variables.value(one, variables) if one in variables else None
            for one in (CLASSES_VARIABLE, RATE_VARIABLE)
        )
        host = BrokerHost.of(name, classes, rate, policy)
        return Classes.seen_by(host, self._fleet, lambda value: self._variables.template(value, variables))
