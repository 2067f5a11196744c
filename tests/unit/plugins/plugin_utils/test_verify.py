# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts: guest by guest from the table cases/verify/guests.json, and what holds for hypervisors as a whole.

In the table ``entry`` and ``seen`` are what differs from a sound guest in its plan and in the second look, ``result``
what became of it when it was changed; ``ids`` are the findings, ``says`` what the answer must
contain somewhere and ``silent`` what it must not; ``unsafe`` is why the wanted source is not safe on the hypervisor,
``broker`` what differs from a broker that serves the guest, null where there is none.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.converge import Capabilities
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import CHECKS
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_findings import KINDS
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import VERDICTS, Evidence, verify

CASES = json.loads((Path(__file__).parents[2] / "cases" / "verify" / "guests.json").read_text(encoding="utf-8"))
UUID = "11111111-2222-3333-4444-555555555555"
DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}
SOUND_VIEW = {
    "status": "seen",
    "why": None,
    "via": "agent",
    "os": None,
    "driver": True,
    "rng": {"current": "virtio_rng.0", "available": ["virtio_rng.0"], "virtio_rng": "loaded"},
    "measured": None,
}

BROKER = {
    "status": "running",
    "why": None,
    "clients": 1,
    "classes": [{"name": "gold", "sockets": ["/run/virtrngd/gold.sock", "tcp://127.0.0.1:7001"]}],
    "guests": [
        {"guest": "web1", "class": "gold", "pid": 4711, "bytes": 2048, "requests": 32, "waiting": None},
        {"guest": "web2", "class": "gold", "pid": 4712, "bytes": 64, "requests": 1, "waiting": None},
    ],
    "guests_total": 2,
}


def entry(name: str = "web1", **changes: Any) -> dict[str, Any]:
    """A guest of the plan that is in sync."""
    planned = {"guest": name, "inventory": None, "state": "present", "wanted": DEVICE, "from": {}}
    return {**planned, "config": "unchanged", "live": "unchanged", "reason": "in sync", "obstacles": [], **changes}


def seen(name: str = "web1", **changes: Any) -> dict[str, Any]:
    """A guest of the second look that is as wanted, and says so."""
    devices = [{**DEVICE, "alias": "ua-fleet-rng"}]
    guest = {"name": name, "uuid": UUID, "running": True, "persistent": True, "arch": "x86_64", "machine": "q35"}
    layers = {"config": devices, "live": devices, "blocked": {}, "notes": [], "error": None}
    return {**guest, **layers, "guest_view": SOUND_VIEW, "host_view": None, **changes}


def observed(*guests: dict[str, Any]) -> dict[str, Any]:
    return {"host": {"hypervisor": {"kind": "libvirt"}}, "guests": list(guests)}


def planned(*entries: dict[str, Any], host: str = "hv1", **changes: Any) -> dict[str, Any]:
    plan = {"guests": list(entries), "total": len(entries), "error": None, **changes}
    return {"plan": {"hosts": {host: plan}}}


def judge(*evidence: Evidence, inside: dict[str, Any] | None = None) -> dict[str, Any]:
    return verify(evidence, (inside or {}).get, lambda facts: Capabilities(max_bytes=2**32 - 1))


def judged(case: dict[str, Any]) -> dict[str, Any]:
    """The one guest of a case."""
    given = case.get("seen", {})
    result = {"guests": [{"guest": "web1", "reason": "", **case["result"]}]} if "result" in case else None
    proof = observed() if given is None else observed(seen(**given))
    proof["host"]["sources"] = {DEVICE["source"]: case.get("unsafe")}
    if "broker" in case:
        proof["host"]["broker"] = None if case["broker"] is None else {**BROKER, **case["broker"]}
    evidence = Evidence(
        "hv1",
        planned(entry(inventory="web1", **case.get("entry", {}))),
        observed(seen()),
        result,
        proof,
        exclusive=case.get("exclusive", True),
    )
    inside = {"web1": {"rng": case["inside"]}} if "inside" in case else {"web1": case.get("unreached")}
    (guest,) = judge(evidence, inside=inside)["hosts"]["hv1"]["guests"]
    return dict(guest)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_table(case: dict[str, Any]) -> None:
    guest = judged(case)
    assert [found["id"] for found in guest["findings"]] == case.get("ids", [])
    assert guest["verdict"] == case["verdict"], guest["reason"]
    results = {name: check["result"] for name, check in guest["checks"].items()}
    assert {name: results[name] for name in case.get("checks", {})} == case.get("checks", {})
    text = json.dumps([guest["reason"], guest["checks"], guest["findings"]], ensure_ascii=False)
    assert [words for words in case.get("says", []) if words not in text] == []
    assert [words for words in case.get("silent", []) if words in text] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_answer_has_its_form(case: dict[str, Any]) -> None:
    guest = judged(case)
    assert set(guest) == {"guest", "uuid", "inventory", "verdict", "reason", "checks", "findings"}
    assert (guest["guest"], guest["uuid"], guest["inventory"]) == ("web1", UUID, "web1")
    assert tuple(guest["checks"]) == CHECKS
    assert guest["reason"]
    assert all(check["message"] for check in guest["checks"].values())
    ranks = [SEVERITIES.index(found["severity"]) for found in guest["findings"]]
    assert ranks == sorted(ranks)
    json.dumps(guest)


def test_the_table_has_every_finding_and_verdict() -> None:
    assert {identifier for case in CASES for identifier in case.get("ids", [])} == {kind.id for kind in KINDS}
    assert {case["verdict"] for case in CASES} == set(VERDICTS)


def test_a_failed_guest_has_a_finding_and_a_verified_one_no_error() -> None:
    for case in CASES:
        guest = judged(case)
        severities = {found["severity"] for found in guest["findings"]}
        assert guest["verdict"] != "failed" or severities & {"error", "warning"}, case["name"]
        assert guest["verdict"] != "verified" or "error" not in severities, case["name"]


def test_counts_and_the_failure() -> None:
    names = ["good", "bad1", "bad2", "bad3", "bad4", "silent", "other"]
    entries = [entry(name) for name in names[:-1]] + [entry("other", state="unmanaged", wanted=None)]
    guests = [seen(name, uuid=str(uuid.UUID(int=index))) for index, name in enumerate(names)]
    for guest in guests[1:5]:
        guest["live"] = []
    guests[5]["guest_view"] = None
    verification = judge(
        Evidence("hv1", planned(*entries), None, None, observed(*guests)),
        Evidence("hv2", planned(entry(), host="hv2"), None, None, observed(seen())),
    )
    host = verification["hosts"]["hv1"]
    assert host["counts"] == {"verified": 1, "failed": 4, "waiting": 0, "unproven": 1, "off": 0, "unmanaged": 1}
    assert host["total"] == 7
    assert host["failure"].startswith("4 of 7 guests failed: bad1: It runs without the wanted RNG, ")
    assert host["failure"].endswith("; and 1 more")
    assert ".;" not in host["failure"]
    assert verification["hosts"]["hv2"]["failure"] is None
    assert verification["total"] == 8
    assert verification["counts"] == {**host["counts"], "verified": 2}


def test_strict_fails_for_what_is_unproven_or_waits() -> None:
    entries = planned(entry("silent"), entry("waiting"), entry("off"))
    guests = [seen("silent", guest_view=None), seen("waiting", live=[], blocked={"live": "no port"})]
    guests.append(seen("off", running=False, live=None))
    for strict, failure in [(False, None), (True, "2 of 3 guests not verified: silent: unproven: ")]:
        host = judge(Evidence("hv1", entries, None, None, observed(*guests), strict=strict))["hosts"]["hv1"]
        assert (host["failure"] or "")[:45] == (failure or "")[:45]
        assert host["counts"]["failed"] == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"plan": None}, "not planned: it failed or was unreachable before"),
        ({"plan": {"failed": True}}, "not planned: it failed or was unreachable before"),
        ({"plan": planned(host="hv9")}, "not planned: it failed or was unreachable before"),
        ({"plan": planned(error="not observed: no route")}, "not observed: no route"),
        ({"plan": planned(total=3)}, "the plan names only guests that change: make it with explain=all"),
        ({"proof": None}, "not observed a second time"),
        ({"proof": {"unreachable": True, "msg": "no\nroute"}}, r"not observed a second time: no\x0aroute"),
        ({"proof": {"failed": True, "msg": "no", "guests": []}}, "not observed a second time: no"),
        ({"proof": {"skipped": True}}, "not observed a second time"),
        ({"proof": {"guests": []}}, "not verified: the results cannot be read (KeyError('host'))"),
        ({"proof": {"host": None, "guests": [1]}}, "not verified: the results cannot be read (TypeError("),
        ({"problem": "virtio_rng_exclusive: 'x' is not valid"}, "virtio_rng_exclusive: 'x' is not valid"),
    ],
)
def test_a_hypervisor_that_cannot_be_judged_says_why_and_stops_no_other(changes: dict[str, Any], error: str) -> None:
    given = {"plan": planned(entry()), "proof": observed(seen()), **changes}
    hosts = judge(Evidence("hv1", **given), Evidence("hv2", planned(entry(), host="hv2"), proof=observed(seen())))
    host = hosts["hosts"]["hv1"]
    assert host["error"].startswith(error)
    assert host["failure"] == host["error"]
    assert host["guests"] == []
    assert set(host["counts"].values()) == {0}
    assert hosts["hosts"]["hv2"]["counts"]["verified"] == 1


@pytest.mark.parametrize(
    "wreck",
    [
        {"guest_view": {}},
        {"guest_view": {"status": "seen", "driver": True, "rng": ["x"]}},
        {"guest_view": {**SOUND_VIEW, "measured": {"status": "measured"}}},
        {"host_view": 7},
        {"host_view": {"status": "seen", "pid": 1, "open": None}},
        {"host_view": {"status": "seen", "pid": 1, "open": [], "qemu": ["x"]}},
        {"live": 5},
    ],
)
def test_one_guest_with_a_broken_answer_is_alone(wreck: dict[str, Any]) -> None:
    proof = observed(seen(**wreck), seen("web2"))
    host = judge(Evidence("hv1", planned(entry(), entry("web2")), proof=proof))["hosts"]["hv1"]
    assert [guest["verdict"] for guest in host["guests"]] == ["failed", "verified"]
    assert host["guests"][0]["findings"][0]["id"] == "RNG124"


@pytest.mark.parametrize("name", ["\x1b[2J", "\u202eweb", "a\nb", "x" * 500])
def test_what_guests_say_is_printable_and_short(name: str) -> None:
    view = {**SOUND_VIEW, "rng": {"current": name, "available": [name], "virtio_rng": "loaded"}}
    wrecks = [{"guest_view": view}, {"guest_view": {"status": name, "why": name}}, {"error": name}, {"uuid": name}]
    for wreck in wrecks:
        host = judge(Evidence("hv1", planned(entry(name)), proof=observed(seen(name, **wreck))))["hosts"]["hv1"]
        (guest,) = host["guests"]
        texts = [host["failure"] or "", guest["reason"], *(check["message"] for check in guest["checks"].values())]
        texts += [found[key] for found in guest["findings"] for key in ("subject", "message", "remedy")]
        assert all(text.isprintable() and len(text) < 1000 for text in texts)


def test_commands_name_a_guest_by_its_uuid_or_quoted() -> None:
    for number, words in [(UUID, f"virsh start {UUID})"), ("no uuid", "virsh start '; reboot')")]:
        guest = seen("; reboot", uuid=number, live=[], blocked={"live": "no port"})
        (judged,) = judge(Evidence("hv1", planned(entry("; reboot")), proof=observed(guest)))["hosts"]["hv1"]["guests"]
        assert words in judged["findings"][0]["remedy"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("proxmox", "(qm shutdown 101, then qm start 101)"),
        ("ganeti", "(gnt-instance shutdown web1, then gnt-instance startup web1)"),
        ("qemu", "(in the way that its unit or script does it)"),
    ],
)
def test_commands_are_those_of_the_kind(kind: str, words: str) -> None:
    guest = seen("web1", number="101", live=[], blocked={"live": "no port"})
    proof = observed(guest)
    proof["host"]["hypervisor"]["kind"] = kind
    (judged,) = judge(Evidence("hv1", planned(entry("web1")), proof=proof))["hosts"]["hv1"]["guests"]
    assert any(words in found["remedy"] for found in judged["findings"])


def test_rng_info_is_matched_by_the_name_in_the_inventory() -> None:
    inside = {"web1.example": {"rng": {"current": "virtio_rng.0", "available": [], "virtio_rng": "loaded"}}}
    proof = observed(seen(guest_view=None))
    for inventory, verdict in [("web1.example", "verified"), ("web1", "unproven"), (None, "unproven")]:
        evidence = Evidence("hv1", planned(entry(inventory=inventory)), proof=proof)
        assert judge(evidence, inside=inside)["hosts"]["hv1"]["guests"][0]["verdict"] == verdict


@pytest.mark.parametrize("answer", [None, "undefined", {"unreachable": True, "msg": "x"}, {"rng": None}])
def test_a_guest_that_could_not_be_reached_stays_unproven(answer: object) -> None:
    evidence = Evidence("hv1", planned(entry(inventory="web1")), proof=observed(seen(guest_view=None)))
    assert judge(evidence, inside={"web1": answer})["hosts"]["hv1"]["guests"][0]["verdict"] == "unproven"
