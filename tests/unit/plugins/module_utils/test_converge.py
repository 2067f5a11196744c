# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding: by the table cases/converge/decide.json, and what holds for every guest whatever it has.

In the table a layer is ``[status, alias that is added or null, [alias of each device that goes]]``; the device keys
that are left out have their defaults.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.converge import (
    STATUSES,
    Capabilities,
    Decision,
    LayerDecision,
    decide,
    is_own,
)
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.observation import (
    CONFIG,
    LIVE,
    Devices,
    FoundDevice,
    ObservedGuest,
)
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils import strategies
from hypothesis import given
from hypothesis import strategies as st

CASES = json.loads((Path(__file__).parents[2] / "cases" / "converge" / "decide.json").read_text(encoding="utf-8"))
CAPABILITIES = Capabilities(max_bytes=strategies.LIBVIRT_LIMIT)


def observed(data: dict[str, Any]) -> ObservedGuest:
    return ObservedGuest.from_wire({"name": "web1", "running": data.get("live") is not None, **data})


def layer(decision: LayerDecision) -> list[Any]:
    return [decision.status, decision.alias or None, [found.alias or None for found in decision.remove]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_decide(case: dict[str, Any]) -> None:
    wanted = None if case["wanted"] is None else RngDevice.from_wire(case["wanted"])
    able = {name: tuple(v) if isinstance(v, list) else v for name, v in case.get("capabilities", {}).items()}
    decision = decide(
        wanted, observed(case["guest"]), dataclasses.replace(CAPABILITIES, **able), **case.get("options", {})
    )
    assert [layer(decision.config), layer(decision.live)] == [case["config"], case["live"]]
    assert decision.error == case.get("error", "")
    assert decision.reason == case.get("reason", decision.error)
    for part in (decision.config, decision.live):
        assert part.add == (wanted if part.alias else None)
        assert part.reason


def test_the_table_has_every_status_that_can_be_decided() -> None:
    seen = {(name, case[name][0]) for case in CASES for name in (CONFIG, LIVE)}
    seen.add((LIVE, "pending_removal"))  # is seen, never decided
    assert {status for dummy, status in seen} == set(STATUSES)


# A guest as it may be, wherever its devices come from. Few different devices, so that they often are the wanted one.
FEW = [
    RngDevice.from_wire({"max_bytes": bytes_, "source": source})
    for source in ("/dev/urandom", "builtin")
    for bytes_ in (1024, "unlimited")
]
ALIASES = ["", "ua-fleet-rng", "ua-fleet-rng-2", "ua-fleet-rng-3", "ua-theirs", "rng0", "rng1"]
wanted_devices = st.none() | st.sampled_from(FEW)
found_devices = st.builds(
    lambda device, alias: FoundDevice(device, alias, "" if device else "backend of somebody else"),
    st.none() | st.sampled_from(FEW),
    st.sampled_from(ALIASES),
)
# libvirt admits an alias once
layers = st.lists(found_devices, max_size=4, unique_by=lambda found: found.alias or object()).map(tuple)
blocked = st.sampled_from(
    [
        (),
        (("live", "no port"),),
        (("config", "no bus"), ("live", "no bus")),
        (("lock", "backup"),),
        (("template", "a template"),),
    ]
)
guests = st.builds(
    lambda config, live, why, error: ObservedGuest("web1", config=config, live=live, blocked=why, error=error),
    st.none() | layers,
    st.none() | layers,
    blocked,
    st.sampled_from(["", "", "", "", "cannot be read"]),
)
capabilities = st.builds(
    Capabilities,
    st.sampled_from([1, strategies.LIBVIRT_LIMIT]),
    st.sampled_from([("random",), ("random", "builtin", "egd")]),
    hotplug=st.booleans(),
    paths=st.sampled_from([None, ("/dev/urandom",), ("/dev/random",)]),
    slots=st.sampled_from([None, 1, 2]),
    rates=st.booleans(),
)
switches = st.fixed_dictionaries({"live": st.booleans(), "exclusive": st.booleans()})


def done(found: Devices | None, decision: LayerDecision) -> Devices | None:
    """A hypervisor in one line: what one layer is after a decision, the addition coming first."""
    if found is None:
        return None
    if decision.add is not None:
        assert decision.alias not in {item.alias for item in found}, "the hypervisor would refuse it"
        found = (*found, FoundDevice(decision.add, decision.alias))
    return tuple(item for item in found if not any(item is gone for gone in decision.remove))


def apply(guest: ObservedGuest, decision: Decision) -> ObservedGuest:
    return dataclasses.replace(guest, config=done(guest.config, decision.config), live=done(guest.live, decision.live))


@given(wanted_devices, guests, capabilities, switches)
def test_a_second_run_never_acts(
    wanted: RngDevice | None, guest: ObservedGuest, able: Capabilities, given_switches: dict[str, bool]
) -> None:
    first = decide(wanted, guest, able, **given_switches)
    second = decide(wanted, apply(guest, first), able, **given_switches)
    assert not second.acts
    assert second.error == first.error


@given(wanted_devices, guests, capabilities, switches)
def test_the_decision_from_the_wire_is_the_decision_on_the_host(
    wanted: RngDevice | None, guest: ObservedGuest, able: Capabilities, given_switches: dict[str, bool]
) -> None:
    wire = json.loads(json.dumps(guest.to_wire()))
    again = decide(wanted, ObservedGuest.from_wire(wire), able, **given_switches)
    assert again == decide(wanted, guest, able, **given_switches)


@given(wanted_devices, guests, capabilities, switches)
def test_a_refused_guest_is_left_alone(
    wanted: RngDevice | None, guest: ObservedGuest, able: Capabilities, given_switches: dict[str, bool]
) -> None:
    decision = decide(wanted, guest, able, **given_switches)
    if decision.error:
        assert not decision.acts
        assert {decision.config.status, decision.live.status} <= {"unchanged", "not_applicable"}


@given(wanted_devices, guests, st.booleans())
def test_an_exclusive_guest_ends_with_exactly_what_is_wanted(
    wanted: RngDevice | None, guest: ObservedGuest, exclusive: bool
) -> None:
    decision = decide(wanted, guest, CAPABILITIES, exclusive=exclusive)
    after = apply(guest, decision)
    for before, part, devices in (
        (guest.config, decision.config, after.config),
        (guest.live, decision.live, after.live),
    ):
        waits = decision.error or part.status == "needs_restart" or guest.blocked_on("template")
        if before is None or devices is None or waits:
            continue
        if exclusive:
            assert [found.device for found in devices] == ([] if wanted is None else [wanted])
        else:
            theirs = [found for found in before if not is_own(found)]
            assert [found for found in devices if found in theirs] == theirs
            assert wanted is None or wanted in [found.device for found in devices]


@given(wanted_devices, guests, st.booleans())
def test_a_guest_is_never_without_the_wanted_device_between_the_steps(
    wanted: RngDevice | None, guest: ObservedGuest, exclusive: bool
) -> None:
    decision = decide(wanted, guest, CAPABILITIES, exclusive=exclusive)
    for part, found in ((decision.config, guest.config), (decision.live, guest.live)):
        assert all(any(gone is item for item in found or ()) for gone in part.remove)
        if wanted is not None and part.remove:
            kept = done(found, part) or ()
            assert wanted in [item.device for item in kept], "something goes, so the wanted one is there before"


@given(wanted_devices, guests, capabilities, switches)
def test_the_status_says_what_happens(
    wanted: RngDevice | None, guest: ObservedGuest, able: Capabilities, given_switches: dict[str, bool]
) -> None:
    decision = decide(wanted, guest, able, **given_switches)
    for found, part in ((guest.config, decision.config), (guest.live, decision.live)):
        assert part.acts == (part.status in ("added", "replaced", "removed"))
        assert (part.status == "not_applicable") == (found is None)
        assert part.status != "added" or not part.remove
        assert part.status != "removed" or wanted is None
    assert decision.reason
