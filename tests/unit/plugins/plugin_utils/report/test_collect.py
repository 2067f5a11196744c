# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run registered of a hypervisor becomes one document; what did not run is null in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.collect import (
    MOST_CLIENTS,
    Inventory,
    Registered,
    collect,
)

TIME = "2026-11-21T12:00:00Z"
OLD = {"source": "/dev/urandom", "max_bytes": 2048, "period": 1000, "model": "virtio", "driver": {}, "alias": "rng0"}
WANTED = {"source": "/dev/urandom", "max_bytes": 4096, "period": 1000, "model": "virtio", "driver": {}}
NEW = {**WANTED, "alias": "ua-fleet-rng"}
RNG = {"current": "tpm-rng-0", "kernel": {"release": "6.1.0", "arch": "x86_64"}, "findings": []}
HYPERVISOR = {"kind": "libvirt", "version": "9.0.0", "rng_models": None, "rng_backends": None}
CHECK = {"result": "pass", "message": "as asked"}


def seen(name: str = "web1", **changes: Any) -> dict[str, Any]:
    guest = {"name": name, "uuid": f"uuid-{name}", "running": False, "persistent": True, "config": [OLD], "live": None}
    return {**guest, "guest_view": None, "host_view": None, "notes": [], "error": None, **changes}


def observation(*guests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    host = {**RNG, "hypervisor": HYPERVISOR, "sources": {"/dev/hwrng": "no"}}
    return {"changed": False, "host": host, "guests": list(guests), **changes}


def entry(name: str = "web1", **changes: Any) -> dict[str, Any]:
    return {
        "guest": name,
        "inventory": None,
        "state": "present",
        "wanted": WANTED,
        "config": "replaced",
        "live": "not_applicable",
        "reason": "2048 -> 4096",
        **changes,
    }


def plan(*entries: dict[str, Any], differ: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    hv1 = {"devices": [{"guest": name} for name in differ], "guests": list(entries), "budget": None, "error": None}
    return {"hosts": {"hv1": {**hv1, **changes}}, "unknown_guests": [], "warnings": []}


def result(**changes: Any) -> dict[str, Any]:
    outcome = {"config": "replaced", "live": "not_applicable", "changed": True, "reason": "done", "error": None}
    return {"changed": True, "guests": [{"guest": "web1", **outcome, **changes}]}


def verification(**changes: Any) -> dict[str, Any]:
    guest = {"guest": "web1", "uuid": "uuid-web1", "inventory": None, "verdict": "off", "reason": "it does not run"}
    guest = {**guest, "checks": {"config": CHECK, "later": CHECK}, "findings": [], **changes}
    return {"hosts": {"hv1": {"error": None, "guests": [guest]}}}


def document(registered: Registered, inventory: Inventory | None = None, *, check_mode: bool = False) -> dict[str, Any]:
    judge = [{"id": "X", "title": "x", "result": "pass", "why": "", "judgement": "agree", "note": ""}]
    return collect(registered, inventory or Inventory(), lambda rng: judge, collected=TIME, check_mode=check_mode)


def guest(registered: Registered, inventory: Inventory | None = None) -> dict[str, Any]:
    found: list[dict[str, Any]] = document(registered, inventory)["guests"]
    (only,) = found
    return only


FULL = Registered(
    "hv1",
    ["hypervisors"],
    observation(seen()),
    plan(entry(), differ=("web1",)),
    result(),
    observation(seen(config=[NEW])),
    verification(),
)


def test_a_whole_run() -> None:
    made = document(FULL)
    assert made.pop("guests") == [
        {
            "name": "web1",
            "uuid": "uuid-web1",
            "inventory": None,
            "groups": [],
            "running": False,
            "persistent": True,
            "state": "present",
            "wanted": WANTED,
            "before": {"config": [OLD], "live": None},
            "after": {"config": [NEW], "live": None},
            "outcome": {
                "config": "replaced",
                "live": "not_applicable",
                "changed": True,
                "reason": "done",
                "error": None,
            },
            "verdict": "off",
            "reason": "it does not run",
            "checks": {"config": CHECK},
            "findings": [],
            "view": None,
            "broker": None,
        }
    ]
    assert made == {
        "schema": "fleet.rng/host/1",
        "collected": TIME,
        "check_mode": False,
        "hypervisor": "hv1",
        "groups": ["hypervisors"],
        "error": None,
        "rng": RNG,
        "kind": "libvirt",
        "version": "9.0.0",
        "budget": None,
        "warnings": [],
        "compliance": [{"id": "X", "title": "x", "result": "pass", "why": "", "judgement": "agree", "note": ""}],
    }


def test_without_a_second_look_nothing_is_known_of_afterwards() -> None:
    only = guest(replace(FULL, proof=None, verification=None))
    assert (only["after"], only["verdict"], only["checks"], only["reason"]) == (None, None, {}, "done")


@pytest.mark.parametrize("applied", [None, {"skipped": True, "changed": False}])
@pytest.mark.parametrize("differ", [(), ("web1",)])
def test_in_check_mode_without_a_result_the_outcome_is_what_the_plan_would_do(
    applied: Any, differ: tuple[str, ...]
) -> None:
    registered = replace(FULL, plan=plan(entry(), differ=differ), result=applied)
    made = document(registered, check_mode=True)
    outcome = made["guests"][0]["outcome"]
    assert (outcome["config"], outcome["changed"], outcome["reason"]) == ("replaced", bool(differ), "2048 -> 4096")


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (("replaced", "not_applicable"), ("unchanged", "not_applicable")),
        (("added", "added"), ("unchanged", "unchanged")),
        (("unchanged", "needs_restart"), ("unchanged", "needs_restart")),
        (("unchanged", "pending_removal"), ("unchanged", "pending_removal")),
        (("not_applicable", "removed"), ("not_applicable", "unchanged")),
        (("added", "needs_restart"), ("unchanged", "unchanged")),  # a restart would not give it what is not stored
    ],
)
def test_a_run_that_only_looked_did_nothing(planned: tuple[str, str], expected: tuple[str, str]) -> None:
    there = plan(entry(config=planned[0], live=planned[1]), differ=("web1",))
    made = document(replace(FULL, plan=there, result=None))
    outcome = made["guests"][0]["outcome"]
    assert made["check_mode"] is False
    assert (outcome["config"], outcome["live"], outcome["changed"]) == (*expected, False)
    assert outcome["reason"] == "2048 -> 4096"


def test_check_mode_is_said() -> None:
    assert document(FULL, check_mode=True)["check_mode"] is True


@pytest.mark.parametrize(
    "broken", [{"msg": "boom\n", "failed": True}, {"unreachable": True, "msg": "boom\n"}, {"msg": "boom\n"}]
)
def test_what_was_never_applied_says_so(broken: dict[str, Any]) -> None:
    made = document(replace(FULL, result=broken, plan=plan(entry(), entry("web2"), differ=("web1",))))
    assert made["guests"][0]["outcome"] == {
        "config": "unchanged",
        "live": "not_applicable",
        "changed": False,
        "reason": "2048 -> 4096",
        "error": "not applied: boom\\x0a",
    }
    assert made["warnings"] == ["not applied: boom\\x0a"]
    assert made["error"] is None


def test_the_error_of_a_guest_stays_with_it() -> None:
    only = guest(replace(FULL, result={**result(changed=False, error="no"), "failed": True, "msg": "1 of 1 guests"}))
    assert only["outcome"]["error"] == "no"


def test_a_refused_guest_says_why() -> None:
    refused = entry(state="refused", wanted=None, reason="max_bytes: 0 is not valid", config="unchanged")
    only = guest(Registered("hv1", (), observation(seen()), plan(refused)))
    assert (only["state"], only["outcome"]["error"], only["outcome"]["changed"]) == (
        "refused",
        refused["reason"],
        False,
    )


def test_a_guest_that_the_plan_left_out_is_untouched_and_its_state_unknown() -> None:
    only = guest(Registered("hv1", (), observation(seen(live=[OLD])), plan()))
    assert (only["state"], only["wanted"]) == (None, None)
    assert (only["outcome"]["config"], only["outcome"]["live"], only["outcome"]["error"]) == ("unchanged",) * 2 + (
        None,
    )


@pytest.mark.parametrize(
    ("seen_as", "planned", "error"),
    [
        (None, plan(error="not observed: gone"), "not observed: gone"),
        ({"unreachable": True, "msg": "gone"}, None, "not observed: gone"),
        ({"failed": True, "guests": []}, None, "not observed: failed"),
        ({"skipped": True}, None, "not observed"),
        (None, None, "not observed"),
        ("junk", "junk", "not observed"),
        (observation(), plan(error="its budget is too small"), "its budget is too small"),
        (observation(), None, None),
    ],
)
def test_why_a_hypervisor_has_no_guests(seen_as: Any, planned: Any, error: str | None) -> None:
    made = document(Registered("hv1", (), seen_as, planned))
    assert (made["error"], made["guests"]) == (error, [])
    assert (
        (made["rng"] is None) == (made["compliance"] == []) == (not isinstance(seen_as, dict) or "host" not in seen_as)
    )


def test_a_second_look_that_failed_leaves_the_first_one() -> None:
    made = document(replace(FULL, proof={"failed": True, "msg": "gone"}))
    assert made["guests"][0]["after"] is None
    assert made["kind"] == "libvirt"
    assert made["warnings"] == ["not observed again: gone"]


def test_guests_that_came_and_went_and_got_a_new_name() -> None:
    before = observation(seen("gone"), seen("old", uuid="u"))
    after = observation(seen("new", uuid="u", config=[NEW]), seen("came"))
    found = {one["name"]: one for one in document(Registered("hv1", (), before, None, None, after))["guests"]}
    assert list(found) == ["came", "gone", "new"]
    assert found["came"]["before"] == {"config": None, "live": None}
    assert found["gone"]["after"] is None
    assert (found["new"]["before"]["config"], found["new"]["after"]["config"]) == ([OLD], [NEW])


def test_groups_are_those_of_the_inventory_host() -> None:
    registered = Registered("hv1", (), observation(seen()), plan(entry(inventory="web1.example.com")))
    only = guest(registered, Inventory({"web1.example.com": ["guests", "web"], "web1": ["wrong"]}))
    assert (only["inventory"], only["groups"]) == ("web1.example.com", ["guests", "web"])


VIEW = {
    "status": "seen",
    "why": None,
    "via": "agent",
    "os": {"id": "debian", "name": "Debian\x1b[2J", "version": "12", "kernel": "6.1.0-os"},
    "driver": True,
    "rng": {
        "kernel": {"release": "6.1.0"},
        "current": "virtio_rng.0",
        "available": ["virtio_rng.0"],
        "entropy_avail": 256,
    },
    "measured": {
        "status": "measured",
        "why": None,
        "bytes": 10,
        "seconds": 2.0,
        "bytes_per_second": 5.0,
        "health": {"repetition_count": "too little data"},
    },
}
SAID = {
    "via": "agent",
    "status": "seen",
    "why": None,
    "os": "Debian\\x1b[2J 12",
    "kernel": "6.1.0",
    "current": "virtio_rng.0",
    "available": ["virtio_rng.0"],
    "driver": True,
    "entropy_avail": 256,
    "measured": {
        "status": "measured",
        "why": None,
        "bytes_per_second": 5.0,
        "bytes": 10,
        "seconds": 2.0,
        "health": {"repetition_count": "too little data"},
    },
}
MUTE = {**VIEW, "status": "no agent", "why": "nobody", "os": None, "driver": None, "rng": None, "measured": None}
INSIDE = Inventory({}, {"web1": {"rng": {**RNG, "virtio_rng": "missing", "available": [], "entropy_avail": 7}}})


@pytest.mark.parametrize(
    ("first", "last", "inside", "expected"),
    [
        (None, None, False, None),
        (VIEW, None, False, SAID),
        (MUTE, VIEW, True, SAID),
        (VIEW, MUTE, False, SAID),
        (MUTE, MUTE, False, ("agent", "no agent", "nobody", None, None)),
        (MUTE, MUTE, True, ("ssh", "seen", None, "6.1.0", False)),
        (None, None, True, ("ssh", "seen", None, "6.1.0", False)),
        ({**VIEW, "rng": None, "measured": None}, None, False, ("agent", "seen", None, "6.1.0-os", True)),
    ],
)
def test_who_speaks_for_the_guest(first: Any, last: Any, inside: bool, expected: Any) -> None:
    registered = Registered(
        "hv1",
        (),
        observation(seen(guest_view=first)),
        plan(entry(inventory="web1")),
        None,
        observation(seen(guest_view=last)),
    )
    view = guest(registered, INSIDE if inside else None)["view"]
    if isinstance(expected, tuple):
        assert tuple(view[key] for key in ("via", "status", "why", "kernel", "driver")) == expected
        assert view["measured"] is None
    else:
        assert view == expected


@pytest.mark.parametrize(
    ("name", "version", "shown"),
    [
        ("FreeBSD", "14.0", "FreeBSD 14.0"),
        ("Debian GNU/Linux 12 (bookworm)", "12", "Debian GNU/Linux 12 (bookworm)"),
        ("Arch Linux", "", "Arch Linux"),
        ("", "7", "7"),
        ("", "", None),
    ],
)
def test_a_version_is_said_once(name: str, version: str, shown: str | None) -> None:
    view = {**VIEW, "os": {"id": "x", "name": name, "version": version, "kernel": ""}}
    registered = Registered("hv1", (), observation(seen(guest_view=view)), plan(entry()), None, None)
    assert guest(registered)["view"]["os"] == shown


def test_warnings_go_to_the_hypervisor_they_name_and_the_rest_to_the_first() -> None:
    both = {"hosts": {"hv2": {}, "hv1": {}}, "warnings": ["hv1: own", "hv2: own", "misspelt"]}
    both["unknown_guests"] = [{"inventory": "web9", "reason": "no hypervisor has it"}]
    first = document(Registered("hv2", (), observation(), both))
    second = document(Registered("hv1", (), observation(), both))
    assert first["warnings"] == ["hv2: own", "misspelt", "web9: no hypervisor has it"]
    assert second["warnings"] == ["hv1: own"]


def test_warnings_are_bounded() -> None:
    many = {"hosts": {"hv1": {}}, "warnings": [f"hv1: {'x' * 1000}"] * 300}
    warnings = document(Registered("hv1", (), observation(), many))["warnings"]
    assert warnings[-1] == "... and 100 more"
    assert {len(warning) for warning in warnings[:-1]} == {600}


def test_a_verification_that_failed_is_a_warning() -> None:
    made = document(replace(FULL, verification={"hosts": {"hv1": {"error": "nothing to judge", "guests": []}}}))
    assert made["warnings"] == ["not verified: nothing to judge"]


CLIENT = {"guest": "web1", "class": "gold", "pid": 1, "uid": 1, "bytes": 64, "requests": 1, "waits": 0, "waiting": None}
ON_BROKER = {**OLD, "source": "egd+unix:/run/virtrngd/gold.sock"}


def with_broker(*clients: dict[str, Any], **changes: Any) -> Registered:
    """A hypervisor whose broker has these clients, and a guest that runs on one of its sockets."""
    looked = observation(seen(**{"running": True, "live": [ON_BROKER], **changes}))
    looked["host"]["broker"] = {"status": "running", "guests": list(clients), "guests_total": len(clients)}
    return Registered("hv1", observation=looked)


def test_what_the_broker_served_a_guest_stands_with_the_guest() -> None:
    assert guest(with_broker(CLIENT))["broker"] == CLIENT
    assert guest(with_broker({**CLIENT, "guest": "web2"}))["broker"] is None
    assert guest(with_broker(CLIENT, {**CLIENT, "pid": 2}))["broker"] is None  # which of the two is it?
    assert guest(with_broker(CLIENT, live=[OLD]))["broker"] is None
    assert guest(with_broker(CLIENT, live=None, running=False))["broker"] is None
    assert guest(with_broker({**CLIENT, "guest": r"a\x0ab"}, name="a\nb"))["broker"] == {**CLIENT, "guest": r"a\x0ab"}


def test_the_clients_of_a_broker_are_bounded() -> None:
    many = [{**CLIENT, "guest": f"g{number}"} for number in range(MOST_CLIENTS)]
    made = document(with_broker(*many, CLIENT))
    assert made["rng"]["broker"] == {"status": "running", "guests": many, "guests_total": MOST_CLIENTS + 1}
    assert made["guests"][0]["broker"] == CLIENT
