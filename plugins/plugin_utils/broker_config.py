# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of one hypervisor's broker, from its classes and the settings of its role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig, parse
from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import BrokerClass, Classes, socket_of
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_rates import Shape, shapes
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Layer, parse_overrides, resolve


@dataclass(frozen=True)
class BrokerConfig:
    """What the daemon reads, as a value and as text, and its classes for people and tests."""

    config: dict[str, Any]
    text: str
    classes: list[dict[str, Any]]


def configuration(classes: Classes, settings: Mapping[str, Any], guests: Mapping[str, int]) -> BrokerConfig:
    """Make it, and have the daemon's own code check it.

    :param settings: keys of the daemon's configuration; what is null or empty is left to its defaults.
    :param guests: how many guests each class would serve.
    :raises RngError: with all that is wrong.
    """
    shaped, host_rate = shapes(classes)
    config: dict[str, Any] = {"rate": UNLIMITED if host_rate is None else host_rate}
    config.update({name: value for name, value in settings.items() if value not in (None, "")})
    if isinstance(config.get("sources"), list):
        config["sources"] = [{"source": one} if isinstance(one, str) else one for one in config["sources"]]
    config["classes"] = [_entry(classes, one, shaped[one.name]) for one in classes.classes.values()]
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    try:
        parsed = parse(text).classes
    except RngError as error:
        raise RngError(f"{classes.host.words}: the broker's configuration: {error}") from error
    rows = [_row(classes, one, guests.get(one.name, 0)) for one in parsed]
    return BrokerConfig(config, text, rows)


def _entry(classes: Classes, one: BrokerClass, shape: Shape) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": one.name, "parent": one.parent, "rate": shape.rate}
    if not classes.children(one.name):
        entry["sockets"] = [socket_of(one.name)]
    optional = {"ceil": shape.ceil, "burst": shape.burst, "priority": shape.priority}
    return {**entry, **{key: value for key, value in optional.items() if value is not None}}


def _row(classes: Classes, one: ClassConfig, guests: int) -> dict[str, Any]:
    group = classes.classes[one.name].group
    return {
        "name": one.name,
        "group": group.name if group else None,
        "parent": one.parent,
        "rate": one.rate,
        "ceil": UNLIMITED if one.ceil is None else one.ceil,
        "burst": one.burst,
        "priority": one.priority,
        "socket": one.sockets[0] if one.sockets else None,
        "guests": guests,
    }


def served(classes: Classes, host: Mapping[str, Any], guests: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How many guests of the inventory each class would serve, were they all on this hypervisor.

    :param host: the policy variables of the hypervisor, without their prefix.
    :param guests: those of each guest.
    """
    found: dict[str, int] = {}
    layer = Layer.of_hypervisor(classes.host.name, host)

    def noted(word: str, guest: str | None) -> tuple[str, str]:
        name, why = classes.leaf(word, guest)
        found[name] = found.get(name, 0) + 1
        return f"egd+unix:{socket_of(name)}", why

    try:
        overrides = parse_overrides(classes.host.name, host.get("overrides"))
    except RngError:
        overrides = ()  # the plan says what is wrong with them
    for name, own in guests.items():
        try:
            resolve(name, layer, overrides, Layer.of_guest(name, own), sockets=noted)
        except RngError:
            continue  # the plan refuses that guest, and says why
    return found
