# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of one guest: which value of each ``virtio_rng_*`` variable holds for it, and who set that value.

Values come in layers, weakest first: the collection's defaults, the variables of the guest's hypervisor, the entries
of the hypervisor's ``virtio_rng_overrides`` that match the guest's name, the guest's own inventory variables. Ansible
has settled the precedence inside a layer before it gets here. A null value counts as not set.

Only the value that wins is checked, so a bad value harms just the guests that depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeGuard

from ansible_collections.fleet.rng.plugins.module_utils.device import (
    DEFAULT_MAX_BYTES,
    DEFAULT_PERIOD,
    DEFAULT_SOURCE,
    MAX_BYTES,
    MAX_PERIOD,
    UNLIMITED,
    RngDevice,
)
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError, RngError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable

PREFIX = "virtio_rng_"
PRESENT, ABSENT, UNMANAGED = "present", "absent", "unmanaged"
STATES = (PRESENT, ABSENT, UNMANAGED)
NEVER, WHEN_NEEDED = "never", "when_needed"
DEFAULTS: Mapping[str, Any] = {
    "state": PRESENT,
    "source": DEFAULT_SOURCE,
    "max_bytes": DEFAULT_MAX_BYTES,
    "period": DEFAULT_PERIOD,
    "model": "virtio",
    "driver": {},
    "weight": 1,
    "min_bytes": 0,
    "restart": NEVER,
}
# Of a hypervisor as a whole.
HOST_FIELDS = (
    "hypervisor",
    "config_dir",
    "host_budget",
    "host_budget_share",
    "overrides",
    "live",
    "exclusive",
    "remove",
    "migration_groups",
    "migration",
)
# What only the role reads, and what it registers.
ROLE_FIELDS = (
    *("uri", "qemu_sockets", "qemu_processes", "qemu_configs", "qemu_config_dir", "qemu_config_roots"),
    *("proxmox_api_host", "proxmox_api_port", "proxmox_api_user", "proxmox_api_token_id", "proxmox_api_token_secret"),
    *("proxmox_api_timeout", "proxmox_validate_certs", "proxmox_ca_path", "proxmox_node"),
    *("restart_serial", "restart_timeout", "restart_force"),
    *("wait", "guests", "uuid_variable", "become", "uuid", "sources", "explain"),
    *("guest_view", "guest_exec", "host_view", "monitor", "measure", "view_timeout", "verify_strict"),
    *("source_test", "source_tests", "audit_sources"),
    *("observation", "plan", "result", "proof", "inside", "verification"),
)
# Of the broker: what groups of guests set, what hypervisors set, and what only its role reads.
BROKER, BROKER_PREFIX = "broker", "rng_broker_"
BROKER_FIELDS = (
    *("rate", "ceil", "burst", "priority", "host_rate", "classes"),
    *("state", "sources", "when_failing", "conditioning", "accept_entropy", "socket_group", "clients"),
    *("clients_per_socket", "clients_per_process", "user", "metrics_file", "service", "become"),
    *("guests", "hypervisors", "python", "apparmor", "disconnect", "timeout"),
)
KNOWN_VARIABLES = (
    *(PREFIX + name for name in (*DEFAULTS, *HOST_FIELDS, *ROLE_FIELDS)),
    *(BROKER_PREFIX + name for name in BROKER_FIELDS),
)
MEASURED, DEFAULT_SHARE = "measured", 50  # a budget that is a percentage of what the sources give
Sockets = Callable[[str, str | None], tuple[str, str]]
DEVICE_FIELDS = ("source", "max_bytes", "period", "model", "driver")
MAX_WEIGHT = 1_000_000

_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


@dataclass(frozen=True)
class Untemplated:
    """Stands for the value of a variable whose template failed; harmless until a guest depends on it."""

    why: str
    what: str = "its template failed"


@dataclass(frozen=True)
class Layer:
    """The values of one origin, by field (the variable's name without its prefix)."""

    origin: str
    values: Mapping[str, Any]
    variables: bool = True  # whether each field is an inventory variable of its own
    guest: str | None = None  # the inventory host, where they are the values of one guest

    def words(self, name: str) -> str:
        return f"{self.origin}: {PREFIX}{name}" if self.variables else self.origin

    @classmethod
    def of_hypervisor(cls, host: str, variables: Mapping[str, Any]) -> Layer:
        return cls(f"hypervisor {printable(host, 80)}", variables)

    @classmethod
    def of_guest(cls, inventory_name: str, variables: Mapping[str, Any]) -> Layer:
        return cls(f"guest {printable(inventory_name, 80)}", variables, guest=inventory_name)


COLLECTION = Layer("collection default", DEFAULTS, variables=False)


@dataclass(frozen=True)
class Override:
    """One entry of ``virtio_rng_overrides``."""

    match: str
    layer: Layer
    problem: str = ""

    def applies_to(self, guest: str) -> bool:
        return fnmatchcase(guest, self.match)


@dataclass(frozen=True)
class Policy:
    """What one guest is to have. ``origin`` says in words where each field came from."""

    state: str
    device: RngDevice | None = None
    period: int = DEFAULT_PERIOD  # a device without a limit has none, but its share of a budget needs one
    weight: int = 1
    min_bytes: int = 0
    restart: bool = False  # whether the guest may be shut down and started, where something waits for that
    origin: Mapping[str, str] = field(default_factory=dict)


def parse_overrides(host: str, value: object) -> tuple[Override, ...]:
    """Read ``virtio_rng_overrides``; raises where no guest could be named that it harms."""
    variable = f"hypervisor {printable(host, 80)}: {PREFIX}overrides"
    allowed = "a list of mappings, each with match (a pattern of guest names) and the fields to set"
    if value is None:
        return ()
    usable(variable, value)
    if not isinstance(value, list | tuple):
        raise InvalidValueError(variable, value, allowed)
    found = []
    for index, entry in enumerate(value):
        match = entry.get("match") if isinstance(entry, Mapping) else None
        if not isinstance(match, str) or not match:
            hint = "; quote a match that is a number" if isinstance(match, int) else ""
            raise InvalidValueError(f"{variable}[{index}]", entry, allowed + hint)
        origin = f"{PREFIX}overrides[{index}] of {printable(host, 80)} (match {printable(match, 80)})"
        unknown = sorted(printable(str(key), 40) for key in entry if key != "match" and key not in DEFAULTS)
        problem = f"{origin}: unknown {', '.join(unknown)}; known: {', '.join(DEFAULTS)}" if unknown else ""
        found.append(Override(match, Layer(origin, entry, variables=False), problem))
    return tuple(found)


def resolve(
    guest: str,
    hypervisor: Layer,
    overrides: Iterable[Override] = (),
    own: Layer | None = None,
    max_bytes_limit: int = MAX_BYTES,
    remove: bool = False,
    sockets: Sockets | None = None,
) -> Policy:
    """The policy of the guest that its hypervisor calls ``guest``.

    Every override that matches applies, in the order of the list: of two that set the same field the later one wins.

    :param remove: whether the hypervisor's guests lose their RNG whatever they ask for, unless they are unmanaged.
    :param sockets: turns a source that asks for the broker, and the inventory name, into a source and into words.
    """
    matching = [override for override in overrides if override.applies_to(guest)]
    for override in matching:
        if override.problem:
            raise RngError(override.problem)
    layers = [COLLECTION, hypervisor, *(override.layer for override in matching)]
    if own is not None:
        layers.append(own)
    chosen = _Chosen(layers)
    state = chosen.one_of("state", STATES)
    if state == UNMANAGED:
        return Policy(state, origin=chosen.origins("state"))
    restart = chosen.one_of("restart", (NEVER, WHEN_NEEDED)) == WHEN_NEEDED
    said = ("restart",) if restart else ()  # never is as it always was
    if state == PRESENT and remove:
        return Policy(ABSENT, restart=restart, origin={"state": hypervisor.words("remove"), **chosen.origins(*said)})
    if state != PRESENT:
        return Policy(state, restart=restart, origin=chosen.origins("state", *said))
    device = chosen.device(max_bytes_limit, sockets, None if own is None else own.guest)
    min_bytes = chosen.number("min_bytes", 0, max_bytes_limit)
    ceiling = device.rate.max_bytes
    if ceiling is not None and min_bytes > ceiling:
        raise RngError(
            f"{chosen.words('min_bytes')} is {min_bytes}, but {chosen.words('max_bytes')} is {ceiling}: "
            "a floor above its ceiling"
        )
    return Policy(
        state,
        device,
        period=chosen.number("period", 1, MAX_PERIOD),
        weight=chosen.number("weight", 1, MAX_WEIGHT),
        min_bytes=min_bytes,
        restart=restart,
        origin=chosen.origins(*(name for name in DEFAULTS if name != "restart"), *said),
    )


def check_hypervisor(host: str, value: object, kind: object) -> None:
    """``virtio_rng_hypervisor``: what is said to run on the host; it must be what answered there."""
    if value not in (None, "auto", kind):
        raise InvalidValueError(f"hypervisor {printable(host, 80)}: {PREFIX}hypervisor", value, f"auto, {kind}")


def check_config_dir(host: str, value: object) -> None:
    """``virtio_rng_config_dir``: empty or absolute; a relative one would lie wherever the task happens to run."""
    if value and not (isinstance(value, str) and value.startswith("/")):
        raise InvalidValueError(
            f"hypervisor {printable(host, 80)}: {PREFIX}config_dir", value, "an absolute path, or empty"
        )


def host_budget(host: str, value: object) -> int | None:
    """``virtio_rng_host_budget``: bytes per second, or None without one. MEASURED is not for here."""
    if value is None or value == UNLIMITED:
        return None
    variable = f"hypervisor {printable(host, 80)}: {PREFIX}host_budget"
    return whole_number(variable, value, 1, MAX_BYTES, f", or {UNLIMITED}, or {MEASURED}")


def budget_share(host: str, value: object) -> int:
    """``virtio_rng_host_budget_share``: how much of what a source gives its guests may have, in percent."""
    if value is None:
        return DEFAULT_SHARE
    variable = f"hypervisor {printable(host, 80)}: {PREFIX}host_budget_share"
    return whole_number(variable, value, 1, 100, ", a percentage")


def host_switch(host: str, name: str, value: object, default: bool) -> bool:
    """A boolean variable of a hypervisor, such as ``virtio_rng_live``."""
    if value is None:
        return default
    variable = f"hypervisor {printable(host, 80)}: {PREFIX}{name}"
    usable(variable, value)
    known = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    if known is None:
        raise InvalidValueError(variable, value, "true or false")
    return known


def whole_number(variable: str, value: object, low: int, high: int, more: str = "") -> int:
    """An int, or the decimal digits that a template yields; never a bool."""
    usable(variable, value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidValueError(variable, value, f"an integer from {low} to {high}{more}")
    return value


class _Chosen:
    """The winning layer of each field."""

    def __init__(self, layers: list[Layer]) -> None:
        self._class = ""
        self._layers = {
            name: next(layer for layer in reversed(layers) if layer.values.get(name) is not None) for name in DEFAULTS
        }

    def words(self, name: str) -> str:
        return self._layers[name].words(name)

    def origins(self, *names: str) -> dict[str, str]:
        found = {name: self.words(name) for name in names}
        if self._class and "source" in found:
            found["source"] += f", {self._class}"
        return found

    def _blame(self, name: str) -> str:
        """The variable's name in an error: overrides and defaults have no variable of their own for a field."""
        layer = self._layers[name]
        return layer.words(name) if layer.variables else f"{layer.origin}: {name}"

    def _value(self, name: str) -> Any:
        value = self._layers[name].values[name]
        usable(self._blame(name), value)
        return value

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._value(name)
        if value not in allowed:
            raise InvalidValueError(self._blame(name), value, ", ".join(allowed))
        return str(value)

    def number(self, name: str, low: int, high: int) -> int:
        return whole_number(self._blame(name), self._value(name), low, high)

    def device(self, max_bytes_limit: int, sockets: Sockets | None, guest: str | None) -> RngDevice:
        values = {name: self._value(name) for name in DEVICE_FIELDS}
        try:
            if sockets is not None and is_broker(values["source"]):
                values["source"], self._class = self._socket(sockets, values["source"], guest)
            return RngDevice.from_wire(values, max_bytes_limit)
        except InvalidValueError as error:
            raise InvalidValueError(self._blame(error.variable), error.given, error.allowed) from error

    def _socket(self, sockets: Sockets, word: str, guest: str | None) -> tuple[str, str]:
        try:
            return sockets(word, guest)
        except InvalidValueError as error:
            raise InvalidValueError("source", error.given, error.allowed) from error
        except RngError as error:
            raise RngError(f"{self._blame('source')}: {word}: {error}") from error


def is_broker(source: object) -> TypeGuard[str]:
    """Whether a source asks for the broker, in words that may be wrong."""
    return isinstance(source, str) and (source == BROKER or source.startswith(BROKER + ":"))


def usable(variable: str, value: object) -> None:
    """Raise where there is no value, since its template failed or it could not be read."""
    if isinstance(value, Untemplated):
        raise RngError(f"{variable}: {value.what}: {value.why}")
