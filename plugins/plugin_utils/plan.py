# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations and policies -> the plan: for each guest what it should have, why, and what has to happen.

Pure: everything comes in as values, so that a plan can be tested without Ansible and without a hypervisor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import (
    NEEDS_RESTART,
    NOT_APPLICABLE,
    UNCHANGED,
    Capabilities,
    decide,
)
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, RngError
from ansible_collections.fleet.rng.plugins.module_utils.observation import TEMPLATE, ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.matching import Matches, Seen, match
from ansible_collections.fleet.rng.plugins.plugin_utils.migration import Destination, Migration
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import misspelt, some
from ansible_collections.fleet.rng.plugins.plugin_utils.policies import named_devices
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import (
    ABSENT,
    MEASURED,
    PREFIX,
    UNMANAGED,
    Layer,
    Policy,
    Sockets,
    budget_share,
    check_config_dir,
    check_hypervisor,
    host_budget,
    host_switch,
    parse_overrides,
    resolve,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.sharing import (
    Shared,
    Wanting,
    share_measured,
    share_number,
    untested,
)

REFUSED = "refused"
BUDGET_FIELDS = ("weight", "min_bytes")


@dataclass(frozen=True)
class Hypervisor:
    """Its policy variables, without their prefix, and what its ``_info`` module returned, if anything.

    ``tests`` is what ``rng_source_info`` returned, for a budget that is to be measured.
    """

    name: str
    variables: Mapping[str, Any]
    observation: Any = None
    unknown: tuple[str, ...] = ()  # variables of it that look like ours, and are not
    tests: Any = None
    sockets: Sockets | None = None  # of its broker


@dataclass(frozen=True)
class InventoryGuest:
    """An inventory host of the group of guests: its policy variables, without their prefix, and its UUID variable."""

    name: str
    variables: Mapping[str, Any]
    uuid: Any = None
    unknown: tuple[str, ...] = ()  # variables of it that look like ours, and are not


@dataclass(frozen=True)
class Settings:
    """How to plan. ``live`` and ``exclusive`` None: as the variables of each hypervisor say."""

    capabilities: Callable[[Mapping[str, Any]], Capabilities]
    uuid_variable: str = PREFIX + "uuid"
    live: bool | None = None
    exclusive: bool | None = None
    only_changes: bool = False
    groups: Mapping[str, Sequence[str]] | None = None  # inventory groups of guests, to name the policies after
    all_groups: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of the inventory, for migration groups


@dataclass
class _Candidate:
    """One observed guest on its way through the plan."""

    seen: Seen
    guest: ObservedGuest
    inventory: str | None = None
    policy: Policy | None = None
    refused: str = ""
    aside: str = ""  # why it is left alone, when it is a template, or only a second definition of a guest
    copies: list[tuple[str, ObservedGuest]] = field(default_factory=list)  # its definitions on other hypervisors
    strays: list[str] = field(default_factory=list)  # what is wrong with those


def make_plan(
    hosts: Sequence[str],
    hypervisors: Sequence[Hypervisor],
    inventory: Sequence[InventoryGuest],
    settings: Settings,
    *,
    complete: bool,
) -> dict[str, Any]:
    """Plan ``hosts``; the other ``hypervisors`` help to tell which guest is which.

    :param complete: whether ``hypervisors`` are all of the fleet. Only then, and when all were observed, can it be
        said that an inventory host is no guest at all.
    """
    known = {hypervisor.name: hypervisor for hypervisor in hypervisors}
    candidates: dict[str, list[_Candidate]] = {}
    errors: dict[str, str] = {}
    for name, hypervisor in known.items():
        try:
            candidates[name] = _observed(hypervisor)
        except HypervisorError as error:
            errors[name] = str(error)
    seen = [candidate.seen for found in candidates.values() for candidate in found]
    matches = match(seen, {guest.name: guest.uuid for guest in inventory}, settings.uuid_variable)
    _identify(candidates, matches)
    own = {guest.name: Layer.of_guest(guest.name, guest.variables) for guest in inventory}
    migration = Migration(settings.all_groups, _destinations(known, candidates, settings))
    warnings = misspelt(
        [(one.name, one.unknown) for one in hypervisors] + [(one.name, one.unknown) for one in inventory]
    )
    plans: dict[str, Any] = {}
    for name in hosts:
        if name in errors:
            plans[name] = _host_plan(error=errors[name])
            continue
        try:
            plans[name] = _plan_host(known[name], candidates[name], own, settings, migration, warnings)
            plans[name]["policies"] = _policies(known[name], own, settings)
        except RngError as error:
            plans[name] = _host_plan(error=str(error), total=len(candidates[name]))
        plans[name].update(_sources(known[name], candidates[name]))
    warnings += migration.warnings()
    unknown = _unknown_guests(matches, inventory) if complete and not errors else []
    return {"hosts": plans, "unknown_guests": unknown, "warnings": warnings}


def _observed(hypervisor: Hypervisor) -> list[_Candidate]:
    """The guests that the hypervisor was seen to have."""
    result = hypervisor.observation
    if not isinstance(result, Mapping):
        raise HypervisorError("not observed")
    if result.get("failed") or result.get("unreachable") or not isinstance(result.get("guests"), list | tuple):
        why = printable(str(result.get("msg") or ""), 300)
        raise HypervisorError(f"not observed: {why}" if why else "not observed")
    try:
        guests = [ObservedGuest.from_wire(item) for item in result["guests"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HypervisorError(f"not observed: not the result of an _info module ({error!r:.100})") from error
    return [
        _Candidate(Seen(hypervisor.name, index, guest.given_name, guest.uuid.lower(), guest.running, guest.name), guest)
        for index, guest in enumerate(guests)
    ]


def _identify(candidates: Mapping[str, Sequence[_Candidate]], matches: Matches) -> None:
    by_seen = {candidate.seen: candidate for found in candidates.values() for candidate in found}
    for seen, candidate in by_seen.items():
        candidate.inventory = matches.inventory.get(seen)
        template = candidate.guest.blocked_on(TEMPLATE)
        candidate.refused = "" if template else matches.refused.get(seen, "")
        candidate.aside = template or matches.copies.get(seen, "")
    for copy, home in matches.homes.items():
        by_seen[home].copies.append((copy.host, by_seen[copy].guest))


def _destinations(
    known: Mapping[str, Hypervisor], observed: Iterable[str], settings: Settings
) -> dict[str, Destination]:
    """What guests would find on each hypervisor that was observed, and that says what it is."""
    found = {}
    for name in observed:
        observation = known[name].observation
        try:
            kinds = settings.capabilities(_hypervisor_facts(observation)).sources
        except RngError:
            continue
        tried = observation["host"].get("sources")
        found[name] = Destination(tried if isinstance(tried, Mapping) else {}, kinds)
    return found


def _plan_host(
    hypervisor: Hypervisor,
    candidates: list[_Candidate],
    own: Mapping[str, Layer],
    settings: Settings,
    migration: Migration,
    warnings: list[str],
) -> dict[str, Any]:
    """Raises RngError for what concerns the host as a whole."""
    name, variables = hypervisor.name, hypervisor.variables
    facts = _hypervisor_facts(hypervisor.observation)
    check_hypervisor(name, variables.get("hypervisor"), facts.get("kind"))
    check_config_dir(name, variables.get("config_dir"))
    overrides = parse_overrides(name, variables.get("overrides"))
    share = budget_share(name, variables.get("host_budget_share"))
    measured = variables.get("host_budget") == MEASURED
    budget = None if measured else host_budget(name, variables.get("host_budget"))
    live, exclusive = settings.live, settings.exclusive
    if live is None:
        live = host_switch(name, "live", variables.get("live"), True)
    if exclusive is None:
        exclusive = host_switch(name, "exclusive", variables.get("exclusive"), True)
    remove = host_switch(name, "remove", variables.get("remove"), False)
    rules = migration.rules(name, variables)
    capabilities = settings.capabilities(facts)
    layer = Layer.of_hypervisor(name, variables)
    for candidate in candidates:
        if not candidate.refused and not candidate.aside:
            guest = None if candidate.inventory is None else own[candidate.inventory]
            given = candidate.guest.given_name, layer, overrides, guest, capabilities.max_bytes, remove
            try:
                candidate.policy = resolve(*given, hypervisor.sockets)
            except RngError as error:
                candidate.refused = str(error)
        device = None if candidate.policy is None else candidate.policy.device
        if device is not None and not candidate.guest.error:
            candidate.refused = migration.refusal(rules, name, candidate.guest.name, device.source)
    wanting = _wanting(candidates, capabilities.max_bytes)
    row = None
    if measured:
        row = _limit(name, share_measured(name, share, hypervisor.tests, wanting), candidates, warnings)
    elif budget is not None:
        row = _limit(name, share_number(name, budget, wanting), candidates, warnings)
    plan = _host_plan(total=len(candidates), budget=row)
    unwise: dict[str, list[str]] = {}
    for candidate in candidates:
        policy = candidate.policy
        if candidate.copies and policy is not None and policy.state != UNMANAGED and not candidate.refused:
            candidate.strays = migration.other_definitions(rules, candidate.guest.name, policy.device, candidate.copies)
        warning = _add(plan, candidate, capabilities, live, exclusive, settings.only_changes)
        if warning:
            unwise.setdefault(warning, []).append(candidate.guest.name)
    warnings += [f"{printable(name, 80)}: {warning} ({some(guests)})" for warning, guests in unwise.items()]
    plan["failure"] = _failure(plan["refused"], len(candidates))
    return plan


def _policies(hypervisor: Hypervisor, own: Mapping[str, Layer], settings: Settings) -> list[dict[str, Any]]:
    if settings.groups is None:
        return []
    capabilities = settings.capabilities(_hypervisor_facts(hypervisor.observation))
    groups = {name: [own[guest] for guest in guests] for name, guests in settings.groups.items()}
    layer = Layer.of_hypervisor(hypervisor.name, hypervisor.variables)
    return named_devices(layer, groups, capabilities.max_bytes, hypervisor.sockets)


def _hypervisor_facts(observation: Mapping[str, Any]) -> Mapping[str, Any]:
    host = observation.get("host")
    facts = host.get("hypervisor") if isinstance(host, Mapping) else None
    if not isinstance(facts, Mapping):
        raise HypervisorError("the observation does not say which kind of hypervisor it is of")
    return facts


def _wanting(candidates: list[_Candidate], most: int) -> dict[int, Wanting]:
    """The guests that are to have a device."""
    return {
        candidate.seen.index: Wanting(candidate.guest, candidate.policy, most)
        for candidate in candidates
        if candidate.policy is not None and candidate.policy.device is not None and not candidate.refused
    }


def _sources(hypervisor: Hypervisor, candidates: list[_Candidate]) -> dict[str, list[str]]:
    """The sources that its guests are to have, and those that a measured budget still waits for."""
    wanted = sorted({str(one.source) for one in _wanting(candidates, 0).values()})
    waiting = untested(wanted, hypervisor.tests) if hypervisor.variables.get("host_budget") == MEASURED else []
    return {"sources": wanted, "untested": waiting}


def _limit(host: str, shared: Shared, candidates: list[_Candidate], warnings: list[str]) -> dict[str, Any]:
    """Give the guests their shares of the host's budget."""
    for candidate in candidates:
        candidate.policy = shared.policies.get(candidate.seen.index, candidate.policy)
    left_out = sum(1 for candidate in candidates if candidate.refused)
    if left_out:
        shown = printable(host, 80)
        warnings.append(f"{shown}: its budget does not count the guests that were refused ({left_out})")
    return dict(shared.row)


def _add(
    plan: dict[str, Any],
    candidate: _Candidate,
    capabilities: Capabilities,
    live: bool,
    exclusive: bool,
    only_changes: bool,
) -> str:
    """Decide about one guest, and enter it in the plan of its host; what is unwise about it is returned."""
    guest, policy = candidate.guest, candidate.policy
    entry: dict[str, Any] = {
        "guest": guest.name,
        "inventory": candidate.inventory,
        "state": UNMANAGED if policy is None else policy.state,
        "wanted": None,
        "from": {},
        "config": NOT_APPLICABLE if guest.config is None else UNCHANGED,
        "live": NOT_APPLICABLE if guest.live is None else UNCHANGED,
        "reason": candidate.aside,
        "obstacles": [],
    }
    quiet = False
    refused, warning = candidate.refused, ""
    if policy is not None:
        hidden = () if plan["budget"] else BUDGET_FIELDS
        entry["from"] = {name: words for name, words in policy.origin.items() if name not in hidden}
        if policy.device is not None:
            entry["wanted"] = policy.device.to_wire()
    if policy is not None and policy.state != UNMANAGED and not refused:
        decision = decide(policy.device, guest, capabilities, live=live, exclusive=exclusive)
        entry["config"], entry["live"] = decision.config.status, decision.live.status
        entry["reason"] = decision.reason
        refused, warning = decision.error, decision.warning
        layers = (decision.config, decision.live)
        entry["obstacles"] = [layer.reason for layer in layers if layer.status == NEEDS_RESTART]
        waits = policy.restart and bool(entry["obstacles"])
        if waits and not capabilities.restart:
            entry["obstacles"].append(f"{PREFIX}restart: guests of this kind of hypervisor are restarted by hand")
        entry["obstacles"] += candidate.strays
        if decision.acts or (waits and capabilities.restart):
            restart = {"restart": True} if policy.restart else {}
            plan["devices"].append({"guest": guest.name, "state": policy.state, **(entry["wanted"] or {}), **restart})
        quiet = not refused and all(layer.status in (UNCHANGED, NOT_APPLICABLE) for layer in layers)
        plan["in_sync"] += quiet
        quiet = quiet and not candidate.strays
    elif not refused:
        entry["reason"] = entry["reason"] or f"left alone ({entry['from']['state']})"
        quiet = True
        plan["unmanaged"] += 1
    if refused:
        entry.update(state=REFUSED, reason=refused, obstacles=[refused])
        plan["refused"].append({"guest": guest.name, "reason": refused})
    if not (quiet and only_changes):
        plan["guests"].append(entry)
    return warning


def _host_plan(*, error: str | None = None, total: int = 0, budget: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "devices": [],
        "guests": [],
        "refused": [],
        "total": total,
        "in_sync": 0,
        "unmanaged": 0,
        "budget": budget,
        "sources": [],
        "untested": [],
        "policies": [],
        "error": error,
        "failure": error,
    }


def _failure(refused: Sequence[Mapping[str, str]], total: int) -> str | None:
    """What a task that fails for the host can say: how many guests of how many, and the first of them."""
    if not refused:
        return None
    first = "; ".join(f"{printable(item['guest'], 80)}: {item['reason']}" for item in refused[:3])
    more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
    return f"{len(refused)} of {total} guests refused: {first}{more}"


def _unknown_guests(matches: Matches, inventory: Sequence[InventoryGuest]) -> list[dict[str, str]]:
    """Inventory hosts that no hypervisor has, unless they say themselves that there is nothing to do for them."""
    idle = {guest.name for guest in inventory if guest.variables.get("state") in (ABSENT, UNMANAGED)}
    return [{"inventory": name, "reason": reason} for name, reason in matches.unmatched.items() if name not in idle]
