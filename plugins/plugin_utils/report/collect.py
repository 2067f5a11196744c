# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run registered of one hypervisor -> its document (``fleet.rng/host/1``).

Names stay as they are: in JSON they are data. What guests say about themselves is bounded and made printable here once
more, whoever wrote it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import (
    NEEDS_RESTART,
    NOT_APPLICABLE,
    PENDING_REMOVAL,
    UNCHANGED,
)
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import CLIENT_NAME
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import CHECKS, DRIVER
from ansible_collections.fleet.rng.plugins.plugin_utils.plan import REFUSED
from ansible_collections.fleet.rng.plugins.plugin_utils.report.schema import HOST

MOST_WARNINGS = 200
MOST_CLIENTS = 50  # of a broker, in the document of its hypervisor; each guest of the report has its own, too
LAYERS = ("config", "live")

Wire = Mapping[str, Any]
Compliance = Callable[[Wire], list[dict[str, Any]]]


@dataclass(frozen=True)
class Registered:
    """The variables of one hypervisor, as its tasks registered them; what did not run is None.

    ``plan`` is the whole plan of its batch, ``verification`` that of its verification.
    """

    name: str
    groups: Sequence[str] = ()
    observation: Any = None
    plan: Any = None
    result: Any = None
    proof: Any = None
    verification: Any = None


@dataclass(frozen=True)
class Inventory:
    """What is known of inventory hosts that are guests: their groups, and ``rng_info`` of those that were asked."""

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inside: Mapping[str, Any] = field(default_factory=dict)


def collect(
    registered: Registered, inventory: Inventory, compliance: Compliance, *, collected: str, check_mode: bool
) -> dict[str, Any]:
    """The document of one hypervisor.

    :param collected: the time of the run, as ``2026-11-21T12:00:00Z``.
    :param check_mode: whether the run was one in check mode: its outcomes are what would be done. Any other run that
        applied nothing, such as a verification, has done nothing.
    """
    plan = _mapping(registered.plan)
    planned = _mapping(_mapping(plan.get("hosts")).get(registered.name))
    verified = _mapping(_mapping(_mapping(registered.verification).get("hosts")).get(registered.name))
    first, last = _seen(registered.observation), _seen(registered.proof)
    result = _mapping(registered.result)
    applied = bool(result) and not result.get("skipped")
    host = _mapping((last or first or {}).get("host"))
    hypervisor = _mapping(host.get("hypervisor"))
    decided = _Decided(planned, result, verified, looked=not (applied or check_mode))
    rng = {key: value for key, value in host.items() if key not in ("hypervisor", "sources")} or None
    clients = _list(_mapping(host.get("broker")).get("guests"))
    if rng and clients:
        rng["broker"] = {**rng["broker"], "guests": clients[:MOST_CLIENTS]}
    return {
        "schema": HOST,
        "collected": collected,
        "check_mode": check_mode,
        "hypervisor": registered.name,
        "groups": list(registered.groups),
        "error": _error(registered, planned, first or last),
        "rng": rng,
        "kind": _text(hypervisor.get("kind")),
        "version": _text(hypervisor.get("version")),
        "budget": planned.get("budget"),
        "warnings": _warnings(registered, plan, result, verified),
        "compliance": compliance(rng) if rng else [],
        "guests": _guests(_Layers(first, last), decided, inventory, _by_name(clients)),
    }


@dataclass(frozen=True)
class _Layers:
    """The two observations, and how to find the same guest in both."""

    first: Wire | None
    last: Wire | None

    def pairs(self) -> Iterable[tuple[Wire | None, Wire | None]]:
        """Every guest before and after, one of them None when it was not there."""
        before = _by_identity(_mapping(self.first).get("guests"))
        after = _by_identity(_mapping(self.last).get("guests"))
        for key in dict.fromkeys([*before, *after]):
            yield before.get(key), after.get(key)


class _Decided:
    """What was planned, done and proven, by guest."""

    def __init__(self, planned: Wire, result: Wire, verified: Wire, *, looked: bool) -> None:
        self.looked = looked  # nothing was applied, nor tried in check mode
        self.planned = _by_guest(planned.get("guests"))
        self.differing = _by_guest(planned.get("devices"))
        self.outcomes = _by_guest(result.get("guests"))
        self.verified = _by_identity(verified.get("guests"), "guest")
        # Something was to be done, and the module never came to it.
        self.broken = "" if looked or result.get("skipped") or self.outcomes else _broken(result)


def _guests(
    layers: _Layers, decided: _Decided, inventory: Inventory, clients: Mapping[str, Wire]
) -> list[dict[str, Any]]:
    guests = [_guest(before, after, decided, inventory) for before, after in layers.pairs()]
    for guest in guests:
        guest["broker"] = _client(guest, clients)
    return sorted(guests, key=lambda guest: (guest["name"], guest["uuid"]))


def _guest(before: Wire | None, after: Wire | None, decided: _Decided, inventory: Inventory) -> dict[str, Any]:
    seen: Wire = after or before or {}
    name = str(seen["name"])
    planned = _mapping(decided.planned.get(name))
    verified = _mapping(decided.verified.get(_identity(seen)) or decided.verified.get(name))
    known_as = planned.get("inventory") or verified.get("inventory")
    outcome = _outcome(name, before or {}, planned, decided)
    return {
        "name": name,
        "uuid": str(seen.get("uuid") or ""),
        "inventory": known_as,
        "groups": list(inventory.groups.get(known_as, ())) if known_as else [],
        "running": bool(seen.get("running")),
        "persistent": bool(seen.get("persistent", True)),
        "state": planned.get("state"),
        "wanted": planned.get("wanted"),
        "before": _devices(before),
        "after": None if after is None else _devices(after),
        "outcome": outcome,
        "verdict": verified.get("verdict"),
        "reason": str(verified.get("reason") or outcome["reason"]),
        "checks": {key: value for key, value in _mapping(verified.get("checks")).items() if key in CHECKS},
        "findings": _list(verified.get("findings")),
        "view": _view(before, after, inventory.inside, known_as),
    }


def _client(guest: Wire, clients: Mapping[str, Wire]) -> Wire | None:
    """What the broker says of a guest that runs on one of its sockets, by the name that its QEMU has."""
    live = (guest["after"] or guest["before"])["live"] or ()
    on_socket = any(str(device.get("source")).startswith("egd+") for device in live)
    return clients.get(printable(guest["name"], CLIENT_NAME)) if on_socket else None


def _by_name(clients: Sequence[Wire]) -> dict[str, Wire]:
    """Those whose name is theirs alone."""
    named = {str(client["guest"]): client for client in clients}
    counts = Counter(str(client["guest"]) for client in clients)
    return {name: client for name, client in named.items() if counts[name] == 1}


def _devices(guest: Wire | None) -> dict[str, Any]:
    return {layer: (guest or {}).get(layer) for layer in LAYERS}


def _outcome(name: str, before: Wire, planned: Wire, decided: _Decided) -> dict[str, Any]:
    """As the module left the guest; else as the plan has it, or, where the run only looked, untouched."""
    outcome = decided.outcomes.get(name)
    if outcome is not None:
        return {key: outcome.get(key) for key in ("config", "live", "changed", "reason", "error")}
    untouched = {layer: NOT_APPLICABLE if before.get(layer) is None else UNCHANGED for layer in LAYERS}
    reason = str(planned.get("reason") or "")
    differs = name in decided.differing
    if differs and decided.broken:
        return {**untouched, "changed": False, "reason": reason, "error": f"not applied: {decided.broken}"}
    layers = {layer: planned.get(layer) or untouched[layer] for layer in LAYERS}
    if decided.looked:
        # What waits does so without any run, once its configuration is right.
        stored = layers["config"] in (UNCHANGED, NOT_APPLICABLE)
        stays = (NOT_APPLICABLE, NEEDS_RESTART, PENDING_REMOVAL) if stored else (NOT_APPLICABLE,)
        layers = {layer: word if word in stays else UNCHANGED for layer, word in layers.items()}
        differs = False
    error = reason if planned.get("state") == REFUSED else str(before.get("error") or "") or None
    return {**layers, "changed": differs, "reason": reason, "error": error}


def _view(before: Wire | None, after: Wire | None, inside: Wire, known_as: str | None) -> dict[str, Any] | None:
    """What the guest says: over its agent, else over its own connection; else why it could not be asked."""
    asked = [_mapping(_mapping(guest).get("guest_view")) for guest in (after, before)]
    told = [view for view in asked if view.get("status") == "seen"]
    over_ssh = {} if told or not known_as else _mapping(_mapping(inside.get(known_as)).get("rng"))
    if over_ssh:
        driver = DRIVER.get(str(over_ssh.get("virtio_rng")))
        return {
            "via": "ssh",
            "status": "seen",
            "why": None,
            "os": None,
            **_of_kernel(over_ssh, driver),
            "measured": None,
        }
    view = next(iter([*told, *filter(None, asked)]), None)
    if view is None:
        return None
    rng, system = _mapping(view.get("rng")), _mapping(view.get("os"))
    facts = _of_kernel(rng, view.get("driver"))
    return {
        "via": "agent",
        "status": _text(view.get("status")) or "error",
        "why": _text(view.get("why"), 600),
        "os": _system(system),
        **facts,
        "kernel": facts["kernel"] or _text(system.get("kernel")),
        "measured": _measured(_mapping(view.get("measured"))),
    }


def _of_kernel(rng: Wire, driver: object) -> dict[str, Any]:
    avail = rng.get("entropy_avail")
    return {
        "kernel": _text(_mapping(rng.get("kernel")).get("release")),
        "current": _text(rng.get("current")),
        "available": [printable(str(name), 100) for name in _list(rng.get("available"))[:64]],
        "driver": driver if isinstance(driver, bool) else None,
        "entropy_avail": avail if isinstance(avail, int) else None,
    }


def _system(system: Wire) -> str | None:
    """Its name, which mostly has the version in it, else with the version."""
    name, version = (str(system.get(key) or "") for key in ("name", "version"))
    return _text((name if version in name else f"{name} {version}".strip()) or None, 200)


def _measured(measured: Wire) -> dict[str, Any] | None:
    if not measured:
        return None
    return {
        "status": _text(measured.get("status")) or "error",
        "why": _text(measured.get("why"), 600),
        "bytes_per_second": measured.get("bytes_per_second"),
        "bytes": measured.get("bytes") or 0,
        "seconds": measured.get("seconds") or 0.0,
        "health": dict(_mapping(measured.get("health"))),
    }


def _error(registered: Registered, planned: Wire, seen: Wire | None) -> str | None:
    """Why nothing is known of the hypervisor's guests, or why nothing could be planned for them."""
    if planned.get("error"):
        return str(planned["error"])
    if seen is not None:
        return None
    why = _broken(_mapping(registered.observation))
    return f"not observed: {why}" if why else "not observed"


def _warnings(registered: Registered, plan: Wire, result: Wire, verified: Wire) -> list[str]:
    """Those that name the hypervisor; and those that concern no single one, in the first document of the batch."""
    own = f"{printable(registered.name, 80)}: "
    names = list(_mapping(plan.get("hosts")))
    others = tuple(f"{printable(name, 80)}: " for name in names)
    warnings = [str(one) for one in _list(plan.get("warnings"))]
    mine = [one for one in warnings if one.startswith(own)]
    if names[:1] == [registered.name]:
        mine += [one for one in warnings if not one.startswith(others)]
        mine += [f"{item['inventory']}: {item['reason']}" for item in _list(plan.get("unknown_guests"))]
    if result and not result.get("skipped") and not result.get("guests"):
        mine += [f"not applied: {why}" for why in [_broken(result)] if why]
    proof = _mapping(registered.proof)
    if proof and not proof.get("skipped") and _seen(proof) is None:
        mine.append(f"not observed again: {_broken(proof) or 'no reason given'}")
    mine += [f"not verified: {verified['error']}"] if verified.get("error") else []
    shown = [printable(one, 600) for one in mine[:MOST_WARNINGS]]
    return shown if len(mine) == len(shown) else [*shown, f"... and {len(mine) - len(shown)} more"]


def _broken(result: Wire) -> str:
    """What a task that failed or never reached its host said."""
    if not (result.get("msg") or result.get("failed") or result.get("unreachable")):
        return ""
    return printable(str(result.get("msg") or ("unreachable" if result.get("unreachable") else "failed")), 600)


def _seen(observation: Any) -> Wire | None:
    """An observation, None when there is none that can be used."""
    observed = _mapping(observation)
    usable = isinstance(observed.get("guests"), list | tuple) and not observed.get("failed")
    return observed if usable and not observed.get("unreachable") else None


def _by_guest(items: Any) -> dict[str, Wire]:
    return {str(item["guest"]): item for item in _list(items) if isinstance(item, Mapping) and "guest" in item}


def _by_identity(guests: Any, name: str = "name") -> dict[str, Wire]:
    return {_identity(guest, name): guest for guest in _list(guests) if isinstance(guest, Mapping) and name in guest}


def _identity(guest: Wire, name: str = "name") -> str:
    """The UUID, which outlives a new name; the name where there is none."""
    return str(guest.get("uuid") or guest.get(name))


def _mapping(value: Any) -> Wire:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: Any, limit: int = 100) -> str | None:
    return None if value is None else printable(str(value), limit)
