# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan and a second look with views -> a verdict on each guest, and what is to be done where it is not verified.

Pure. What is wanted comes from the plan, what is there from the second look, and whether the one is the other is
decided where it always is. One guest whose views cannot be read stops nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import (
    NEEDS_RESTART,
    PENDING_REMOVAL,
    Capabilities,
    Decision,
    LayerDecision,
    decide,
)
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, RngError
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import LIBVIRT
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.observation import CONFIG, LIVE, ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils import guest_findings as kinds
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_clients import broker_of, check_client
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import (
    CHECKS,
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    Case,
    Check,
    Inside,
    check_current,
    check_driver,
    check_layer,
    check_open,
    check_rate,
    check_source,
    report_silence,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.measured import check_measured
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import UNMANAGED

VERIFIED, FAILED, WAITING, UNPROVEN, OFF = "verified", "failed", "waiting", "unproven", "off"
VERDICTS = (VERIFIED, FAILED, WAITING, UNPROVEN, OFF, UNMANAGED)
NAMED = 3  # guests that a failing task names

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True)
class Evidence:
    """What one hypervisor registered: the plan of it, and the results before, of applying, and after.

    ``exclusive`` None: as by default. ``strict``: what is unproven or waits fails as well.
    """

    name: str
    plan: Any = None
    observation: Any = None
    result: Any = None
    proof: Any = None
    exclusive: bool = True
    strict: bool = False
    problem: str = ""  # a variable of the hypervisor that cannot be used


@dataclass
class _Known:
    """The parts of the evidence that every guest of the hypervisor needs."""

    capabilities: Capabilities
    kind: str
    exclusive: bool
    inside: Callable[[str], Any]
    uuids: Mapping[str, str]  # of the first look, by name
    applied: Mapping[str, Mapping[str, Any]]  # what became of each guest that was changed
    seen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the second look, by name
    unsafe: Mapping[str, str | None] = field(default_factory=dict)  # why a source is refused there, where it was tried
    broker: Mapping[str, Any] | None = None


def verify(
    hypervisors: Sequence[Evidence],
    inside: Callable[[str], Any],
    capabilities: Callable[[Mapping[str, Any]], Capabilities],
) -> dict[str, Any]:
    """Judge all guests of the ``hypervisors``.

    :param inside: what ``rng_info`` returned on an inventory host, if anything; only asked for where it is needed.
    """
    hosts = {evidence.name: _host(evidence, inside, capabilities) for evidence in hypervisors}
    return {
        "hosts": hosts,
        "counts": {verdict: sum(host["counts"][verdict] for host in hosts.values()) for verdict in VERDICTS},
        "total": sum(host["total"] for host in hosts.values()),
    }


def _host(
    evidence: Evidence, inside: Callable[[str], Any], capabilities: Callable[[Mapping[str, Any]], Capabilities]
) -> dict[str, Any]:
    total = 0
    try:
        planned = _planned(evidence)
        total = planned["total"]
        known = _known(evidence, inside, capabilities)
        guests = [_judged(entry, known) for entry in planned["guests"]]
    except RngError as error:
        return _host_result(str(error), total, [], evidence.strict)
    except _UNREADABLE as error:
        return _host_result(f"not verified: the results cannot be read ({error!r:.100})", total, [], evidence.strict)
    return _host_result(None, total, guests, evidence.strict)


def _host_result(error: str | None, total: int, guests: list[dict[str, Any]], strict: bool) -> dict[str, Any]:
    counts = {verdict: sum(1 for guest in guests if guest["verdict"] == verdict) for verdict in VERDICTS}
    error = None if error is None else printable(error, 500)
    failure = error or _failure(guests, total, strict=strict)
    return {"error": error, "counts": counts, "total": total, "guests": guests, "failure": failure}


def _failure(guests: Sequence[Mapping[str, Any]], total: int, *, strict: bool) -> str | None:
    """What a task that fails for the hypervisor can say: how many guests of how many, and the first of them."""
    bad = (FAILED, WAITING, UNPROVEN) if strict else (FAILED,)
    left = [guest for guest in guests if guest["verdict"] in bad]
    if not left:
        return None
    first = "; ".join(_why_left(guest, strict=strict) for guest in left[:NAMED])
    more = f"; and {len(left) - NAMED} more" if len(left) > NAMED else ""
    return f"{len(left)} of {total} guests {'not verified' if strict else FAILED}: {first}{more}"


def _why_left(guest: Mapping[str, Any], *, strict: bool) -> str:
    verdict = f"{guest['verdict']}: " if strict else ""
    return f"{printable(guest['guest'], 80)}: {verdict}{guest['reason'].removesuffix('.')}"


def _planned(evidence: Evidence) -> Mapping[str, Any]:
    """The plan of the hypervisor; with all its guests, or nothing could be said of those that are missing."""
    if evidence.problem:
        raise HypervisorError(evidence.problem)
    plan = evidence.plan.get("plan") if isinstance(evidence.plan, Mapping) else None
    planned: Mapping[str, Any] | None = plan["hosts"].get(evidence.name) if isinstance(plan, Mapping) else None
    if planned is None:
        raise HypervisorError("not planned: it failed or was unreachable before")
    if planned["error"]:
        raise HypervisorError(str(planned["error"]))
    if len(planned["guests"]) != planned["total"]:
        raise HypervisorError("the plan names only guests that change: make it with explain=all")
    return planned


def _known(
    evidence: Evidence, inside: Callable[[str], Any], capabilities: Callable[[Mapping[str, Any]], Capabilities]
) -> _Known:
    proof, result = evidence.proof, evidence.result
    if not isinstance(proof, Mapping) or proof.get("failed") or not isinstance(proof.get("guests"), list | tuple):
        why = printable(str(proof.get("msg") or ""), 300) if isinstance(proof, Mapping) else ""
        raise HypervisorError("not observed a second time" + (f": {why}" if why else ""))
    before = evidence.observation if isinstance(evidence.observation, Mapping) else {}
    changed = result.get("guests") if isinstance(result, Mapping) else None
    return _Known(
        capabilities=capabilities(proof["host"]["hypervisor"]),
        kind=str(proof["host"]["hypervisor"]["kind"]),
        exclusive=evidence.exclusive,
        inside=inside,
        uuids={guest["name"]: str(guest.get("uuid") or "") for guest in before.get("guests") or ()},
        applied={item["guest"]: item for item in changed or ()},
        seen={guest["name"]: guest for guest in proof["guests"]},
        unsafe=proof["host"].get("sources") or {},
        broker=broker_of(proof["host"]),
    )


def _judged(entry: Mapping[str, Any], known: _Known) -> dict[str, Any]:
    """The verdict on one guest of the plan, whatever its views hold."""
    name = entry["guest"]
    seen, before = known.seen.get(name), known.uuids.get(name, "")
    uuid = before or str((seen or {}).get("uuid") or "")
    verdict = {"guest": name, "uuid": uuid, "inventory": entry["inventory"]}
    if entry["state"] == UNMANAGED:
        return {**verdict, **_without_checks(UNMANAGED, str(entry["reason"] or "left alone"))}
    bare = ObservedGuest(name, uuid)
    if seen is None or (before and before != str(seen.get("uuid") or "")):
        return {**verdict, **_broken(bare, kinds.GONE)}
    if entry["state"] == "refused":
        return {**verdict, **_broken(bare, kinds.REFUSED, str(entry["reason"]))}
    try:
        return {**verdict, **_checked(entry, ObservedGuest.from_wire(seen), known)}
    except (RngError, *_UNREADABLE) as error:
        why = f"what was seen of it cannot be read ({printable(repr(error), 100)})"
        return {**verdict, **_broken(bare, kinds.UNREADABLE, why, known.kind)}


def _checked(entry: Mapping[str, Any], guest: ObservedGuest, known: _Known) -> dict[str, Any]:
    wanted = None if entry["wanted"] is None else RngDevice.from_wire(entry["wanted"])
    decision = decide(wanted, guest, known.capabilities, exclusive=known.exclusive)
    if decision.error:
        return _broken(guest, kinds.UNREADABLE, decision.error, known.kind)
    applied = known.applied.get(guest.name, {})
    case = Case(
        guest,
        wanted,
        decision,
        waits=_waits(entry, applied, decision),
        applied=printable(str(applied.get("error") or ""), 200),
        kind=known.kind,
        unsafe="" if wanted is None else _one_line(known.unsafe.get(str(wanted.source))),
        inside=partial(_inside, entry["inventory"], known.inside),
        unreached=partial(_unreached, entry["inventory"], known.inside),
        broker=known.broker,
    )
    checks = _run(case)
    verdict = _verdict(case, checks)
    return {
        "verdict": verdict,
        "reason": printable(_reason(case, verdict, checks), 500),
        "checks": {name: check.to_wire() for name, check in checks.items()},
        "findings": sorted(case.findings, key=lambda found: SEVERITIES.index(found["severity"])),
    }


def _run(case: Case) -> dict[str, Check]:
    checks = {CONFIG: check_layer(case, CONFIG), LIVE: check_layer(case, LIVE)}
    if case.wanted is None or case.device is None or case.waits:
        why = "no RNG is wanted" if case.wanted is None else "waits for a restart" if case.waits else "no RNG to judge"
        if case.guest.live is None:
            why = case.decision.live.reason
        checks.update({name: Check(NOT_APPLICABLE, why) for name in CHECKS if name not in checks})
    else:
        inside = Inside.of(case)
        checks["source"], checks["rate"] = check_source(case), check_rate(case)
        checks["driver"], checks["current"] = check_driver(case, inside), check_current(case, inside)
        checks["open"] = check_client(case, check_open(case))
        checks["measured"] = check_measured(case, checks["current"].result == PASS)
        if UNKNOWN in (checks["driver"].result, checks["current"].result):
            report_silence(case)
    case.report_differences()
    if case.unseen:
        report_silence(case)
    if case.waits:
        case.find(kinds.WAITS, {"reason": case.waits}, why=case.waits)
    return checks


def _verdict(case: Case, checks: Mapping[str, Check]) -> str:
    failed = {name for name, check in checks.items() if check.result == FAIL}
    if case.waits and failed <= {LIVE}:
        return WAITING
    if failed:
        return FAILED
    if case.unseen:
        return UNPROVEN
    if case.wanted is None:
        return VERIFIED  # there is nothing that the guest could add
    if case.guest.live is None:
        return OFF
    told = all(checks[name].result == PASS for name in ("driver", "current", "source", "rate"))
    told = told and not any(found["id"] == kinds.NO_CLIENT.id for found in case.findings)
    return VERIFIED if told else UNPROVEN


def _reason(case: Case, verdict: str, checks: Mapping[str, Check]) -> str:
    if verdict == FAILED:
        bad = [found for found in case.findings if found["severity"] != "info"]
        return " ".join(str(found["message"]) for found in bad[:NAMED])
    if verdict == WAITING:
        return f"waits for a restart: {case.waits}"
    if verdict == OFF:
        return f"{checks[CONFIG].message}; not running"
    if verdict == UNPROVEN:
        unknown = [check.message for check in checks.values() if check.result == UNKNOWN]
        return f"{checks[CONFIG if case.unseen else LIVE].message}; not proven: {unknown[0]}"
    if case.wanted is None:
        return checks[LIVE if case.guest.running else CONFIG].message
    return f"{checks[LIVE].message}; the guest draws from {checks['current'].message}"


def _waits(entry: Mapping[str, Any], applied: Mapping[str, Any], decision: Decision) -> str:
    """Why the running guest is not yet as its configuration is; empty where it is, or where nothing has to wait.

    The plan knows what the operator allows, applying what the guest did; looking again may find no free slot.
    """
    live = decision.live
    if live.status == NEEDS_RESTART:
        return live.reason
    if not live.acts:
        return ""
    if applied.get("live") in (NEEDS_RESTART, PENDING_REMOVAL):
        return str(applied.get("reason") or applied["live"])
    return str("; ".join(entry["obstacles"]) or entry["reason"]) if entry["live"] == NEEDS_RESTART else ""


def _inside(inventory: str | None, inside: Callable[[str], Any]) -> Mapping[str, Any] | None:
    result = None if inventory is None else inside(inventory)
    rng = result.get("rng") if isinstance(result, Mapping) else None
    return rng if isinstance(rng, Mapping) else None


def _broken(guest: ObservedGuest, kind: kinds.Kind, why: str = "", hypervisor: str = LIBVIRT) -> dict[str, Any]:
    """A guest that nothing can be checked of."""
    case = Case(guest, None, Decision(LayerDecision("", ""), LayerDecision("", "")), kind=hypervisor)
    case.find(kind, {"reason": printable(why, 300)} if why else {}, why=why)
    message = case.findings[0]["message"]
    return {**_without_checks(FAILED, message, UNKNOWN), "findings": case.findings}


def _without_checks(verdict: str, reason: str, result: str = NOT_APPLICABLE) -> dict[str, Any]:
    checks = {name: Check(result, reason).to_wire() for name in CHECKS}
    return {"verdict": verdict, "reason": printable(reason, 500), "checks": checks, "findings": []}


def _unreached(inventory: str | None, inside: Callable[[str], Any]) -> str:
    """Why the guest said nothing over its own connection; empty where it was not asked, or answered."""
    result = None if inventory is None else inside(inventory)
    if not isinstance(result, Mapping) or not (result.get("unreachable") or result.get("failed")):
        return ""
    return _one_line(result.get("msg")) or "unreachable"


def _one_line(words: object) -> str:
    return printable(str(words or "").strip(), 200).removesuffix(".")
