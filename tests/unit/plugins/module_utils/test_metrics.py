# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics, as two real parsers read them: of OpenMetrics, and of the older format that node_exporter takes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils import metrics
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import DIRECTORY
from ansible_collections.fleet.rng.plugins.module_utils.metrics import render
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 500, "model": "virtio", "driver": {}, "alias": None}
OUTCOME = {"config": "unchanged", "live": "not_applicable", "changed": False, "reason": "", "error": None}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def guest(name: str = "web1", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "uuid": f"uuid of {name}",
        "running": False,
        "state": "present",
        "before": {"config": [DEVICE], "live": None},
        "after": None,
        "outcome": OUTCOME,
        "verdict": None,
        "findings": [],
        "view": None,
        **changes,
    }


def host(*guests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "hypervisor": "hv1",
        "collected": "2026-11-21T12:00:00Z",
        "error": None,
        "rng": None,
        "kind": None,
        "version": None,
        "budget": None,
        "guests": list(guests),
        **changes,
    }


def read(text: str) -> Samples:
    """All samples; both parsers have to find the same ones."""
    openmetrics = [sample for family in parse_openmetrics(text) for sample in family.samples]
    prometheus = [sample for family in parse_prometheus(text) for sample in family.samples]
    assert [(one.name, one.labels, one.value) for one in openmetrics] == [
        (one.name, one.labels, one.value) for one in prometheus
    ]
    found = {(one.name.removeprefix("fleet_rng_"), tuple(one.labels.items())): one.value for one in openmetrics}
    assert len(found) == len(openmetrics)
    return found


def values(text: str, family: str, *labels: str) -> dict[Any, float]:
    """The samples of one family, by the values of some labels."""
    return {
        tuple(dict(pairs)[label] for label in labels): value
        for (name, pairs), value in read(text).items()
        if name == family
    }


def test_a_hypervisor() -> None:
    rng = {
        "kernel": {"release": "6.1.0-56-amd64", "arch": "x86_64"},
        "crng_ready": True,
        "entropy_avail": 256,
        "current": "tpm-rng-0",
        "findings": [{"id": "RNG014", "severity": "info"}],
    }
    budget = {"bytes_per_second": 10_000, "promised": 4096, "guests": 2}
    text = render([host(rng=rng, kind="libvirt", version="9.0.0", budget=budget)])
    hv1 = (("hypervisor", "hv1"),)
    assert read(text) == {
        ("hypervisor_info", (*hv1, ("kind", "libvirt"), ("version", "9.0.0"), ("kernel", "6.1.0-56-amd64"))): 1,
        ("hypervisor_observed", hv1): 1,
        ("last_collection_timestamp_seconds", hv1): 1795262400,
        ("host_crng_ready", hv1): 1,
        ("host_entropy_available_bits", hv1): 256,
        ("host_hwrng_current_info", (*hv1, ("current", "tpm-rng-0"))): 1,
        ("host_budget_bytes_per_second", hv1): 10_000,
        ("host_promised_bytes_per_second", hv1): 4096,
        **{("guests", (*hv1, ("state", state))): 0 for state in metrics.STATES},
        ("guests_on_broker", hv1): 0,
        ("guests_unlisted", hv1): 0,
        ("findings", (*hv1, ("id", "RNG014"), ("severity", "info"))): 1,
    }


def test_a_hypervisor_that_was_not_observed_counts_no_guests() -> None:
    samples = read(render([host(error="unreachable")]))
    assert {name: value for (name, dummy), value in samples.items()} == {
        "hypervisor_observed": 0,
        "last_collection_timestamp_seconds": 1795262400,
    }


def test_a_hypervisor_that_was_observed_and_not_planned_counts_its_guests() -> None:
    text = render([host(guest(state=None), error="its budget is too small", kind="libvirt")])
    assert values(text, "hypervisor_observed") == {(): 1}
    assert values(text, "guests", "state")["unknown",] == 1


@pytest.mark.parametrize("kinds", [(), ("libvirt",), ("libvirt", "ganeti")])
def test_kinds_are_counted_where_they_were_looked_for(kinds: tuple[str, ...]) -> None:
    assert values(render([host(kinds=kinds)]), "hypervisor_kinds") == {(): len(kinds)}
    assert values(render([host(kinds=None)]), "hypervisor_kinds") == {}


BROKER = {"status": "running", "serving": "/dev/hwrng", "waiting_long": 1, "guests_total": 12, "refused": 0}


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        (None, {}),
        ({**BROKER, "status": "stale"}, {"running": 0}),
        ({"status": "unreadable", "serving": None, "guests_total": None}, {"running": 0}),
        (BROKER, {"running": 1, "guests": 12, "guests_waiting_long": 1, "refused_connections": 0, "source_info": 1}),
        ({"status": "running"}, {"running": 1, "source_info": 1}),
    ],
)
def test_what_a_host_says_of_its_broker(broker: dict[str, Any] | None, expected: dict[str, float]) -> None:
    samples = read(render([host(rng={"kernel": {}, "broker": broker}, kind="libvirt")]))
    found = {name: value for (name, dummy), value in samples.items() if name.startswith("host_broker_")}
    assert {name.removeprefix("host_broker_"): value for name, value in found.items()} == expected


def test_guests_on_the_broker_are_counted_wherever_their_device_is() -> None:
    gold = {**DEVICE, "source": f"egd+unix:{DIRECTORY}/gold.sock"}
    other = {**DEVICE, "source": "egd+unix:/run/egd.sock"}
    guests = [
        guest("both", before={"config": [gold], "live": [DEVICE, gold]}),
        guest("config", before={"config": [gold], "live": None}),
        guest("live", before={"config": [DEVICE], "live": [gold]}),
        guest("left it", before={"config": [gold], "live": [gold]}, after={"config": [DEVICE], "live": [DEVICE]}),
        guest("other", before={"config": [other], "live": None}),
        guest("unreadable", before={"config": None, "live": None}),
    ]
    assert values(render([host(*guests, kind="libvirt")]), "guests_on_broker") == {(): 3}
    assert values(render([host(error="unreachable")]), "guests_on_broker") == {}


def test_the_source_of_a_broker_is_named() -> None:
    for serving, named in (("/dev/hwrng", "/dev/hwrng"), (None, "none")):
        text = render([host(rng={"broker": {**BROKER, "serving": serving}})])
        assert values(text, "host_broker_source_info", "source") == {(named,): 1}


def test_guests_are_counted() -> None:
    waiting = {**OUTCOME, "live": "needs_restart"}
    finding = {"id": "RNG101", "severity": "error"}
    guests = [
        guest("a", verdict="verified"),
        guest("b", verdict="failed", findings=[finding]),
        guest("c", verdict="failed", findings=[finding, {"id": "RNG104", "severity": "info"}], outcome=waiting),
        guest("d", state="absent", outcome={}),
        guest("e", state=None, outcome=None),
        guest("f", verdict="waiting"),
    ]
    text = render([host(*guests)])
    assert values(text, "guests", "state") == {
        ("present",): 4,
        ("absent",): 1,
        ("unmanaged",): 0,
        ("refused",): 0,
        ("unknown",): 1,
    }
    assert {key: value for key, value in values(text, "guests_verdict", "verdict").items() if value} == {
        ("verified",): 1,
        ("failed",): 2,
        ("waiting",): 1,
    }
    assert values(text, "guests_needing_restart") == {(): 2}
    assert values(text, "guest_needs_restart", "guest") == {("a",): 0, ("b",): 0, ("c",): 1, ("f",): 1}
    assert values(text, "guest_verified", "guest") == {("a",): 1, ("b",): 0, ("c",): 0, ("f",): 0}
    assert values(text, "findings", "id", "severity") == {("RNG101", "error"): 2, ("RNG104", "info"): 1}


def test_without_a_verification_nothing_is_said_of_one() -> None:
    names = {name for name, dummy in read(render([host(guest(outcome=None))]))}
    assert not names & {"guests_verdict", "guest_verified", "guests_needing_restart", "guest_needs_restart"}


def test_a_guest_is_as_it_was_seen_last() -> None:
    before = {"config": [], "live": []}
    after = {"config": [DEVICE], "live": []}
    changed = render([host(guest(running=True, before=before, after=after))])
    assert values(changed, "guest_attached", "layer") == {("config",): 1, ("live",): 0}
    untouched = render([host(guest(running=True, before=before))])
    assert values(untouched, "guest_attached", "layer") == {("config",): 0, ("live",): 0}
    assert values(untouched, "guest_running", "guest", "uuid") == {("web1", "uuid of web1"): 1}


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"config": [DEVICE], "live": None}, 2048),
        ({"config": [DEVICE], "live": [{**DEVICE, "period": 1000}]}, 1024),
        ({"config": [DEVICE], "live": []}, None),
        ({"config": [DEVICE, DEVICE], "live": None}, 4096),
        ({"config": [{**DEVICE, "max_bytes": "unlimited"}], "live": None}, float("inf")),
        ({"config": [DEVICE, {"source": None, "unknown": "what is this", "alias": None}], "live": None}, None),
        ({"config": None, "live": None}, None),
        ({"config": [{**DEVICE, "max_bytes": 1, "period": 3000}], "live": None}, 1 / 3),
    ],
)
def test_the_rate_is_that_of_what_the_guest_has(devices: dict[str, Any], expected: float | None) -> None:
    found = values(render([host(guest(before=devices))]), "guest_max_bytes_per_second")
    assert found == ({} if expected is None else {(): expected})


def test_what_the_guest_says() -> None:
    view = {"entropy_avail": 200, "measured": {"bytes_per_second": 1023.5}}
    text = render([host(guest(view=view))])
    assert values(text, "guest_entropy_available_bits") == {(): 200}
    assert values(text, "guest_measured_bytes_per_second") == {(): 1023.5}


def test_hypervisors_side_by_side() -> None:
    text = render([host(guest("a")), host(guest("a"), hypervisor="hv2")])
    assert text.count("# TYPE fleet_rng_guest_running gauge") == 1
    assert set(values(text, "guest_running", "hypervisor", "guest")) == {("hv1", "a"), ("hv2", "a")}


def test_nothing_is_valid_too() -> None:
    assert render([]) == "# EOF\n"


def test_names_are_shown_and_harmless() -> None:
    names = ['"} 1\nevil{x="', "back\\slash", "\x1b[2J\u202e", "{{ 7 * 7 }}", "\ud800", "x" * 1000, ""]
    text = render([host(*map(guest, names))])
    assert [name for (name,) in values(text, "guest_running", "guest")] == [
        '"} 1\\x0aevil{x="',
        "back\\slash",
        "\\x1b[2J\\u202e",
        "{{ 7 * 7 }}",
        "\\ud800",
        "x" * (metrics.LABEL_LIMIT - 3) + "...",
        "",
    ]


def test_guests_that_cannot_be_told_apart_are_counted() -> None:
    text = render([host(guest(running=True), guest(), guest("b"))])
    assert values(text, "guest_running", "guest") == {("web1",): 1, ("b",): 0}
    assert values(text, "guests_unlisted") == {(): 1}


def test_too_many_guests_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_GUESTS", 2)
    text = render([host(*map(guest, "abcde"))])
    assert set(values(text, "guest_running", "guest")) == {("a",), ("b",)}
    assert values(text, "guests_unlisted") == {(): 3}
    assert values(text, "guests", "state")["present",] == 5


def test_every_family_is_well_named() -> None:
    for family in metrics.FAMILIES:
        assert family.name.endswith(family.unit)
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_created"))
        assert family.help.endswith(".")
        assert not set(family.help) & set('\\"\n')


plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
words = st.sampled_from(
    ["config", "live", "max_bytes", "period", "findings", "id", "severity", "kernel", "release", "current"]
)
junk = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, st.text(max_size=8)), inner, max_size=3)
    ),
    max_leaves=4,
)
GUEST_KEYS = ("name", "uuid", "running", "state", "verdict", "before", "after", "outcome", "view", "findings")
HOST_KEYS = ("hypervisor", "collected", "error", "rng", "kind", "version", "budget")
devices = st.lists(st.fixed_dictionaries({"max_bytes": plain, "period": plain}), max_size=2)
layers = st.fixed_dictionaries({}, optional={"config": st.one_of(devices, junk), "live": st.one_of(devices, junk)})
guests = st.fixed_dictionaries({}, optional={**dict.fromkeys(GUEST_KEYS, junk), "before": st.one_of(layers, junk)})
hosts = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(HOST_KEYS, junk), "guests": st.one_of(st.lists(guests, max_size=4), junk)}
)


@given(st.lists(hosts, max_size=3))
@example([{"rng": {"findings": 1}, "guests": [{"before": {"config": 1, "live": {}}, "findings": {"id": 2}}, None]}])
@example([{"guests": [{"before": {"config": [{"max_bytes": 10**400, "period": 1e-320}]}}]}])
def test_any_document_gives_a_text_that_parses(documents: list[dict[str, Any]]) -> None:
    read(render(documents))


@given(st.text(), st.text(), st.text())
def test_any_name_is_kept_apart_from_the_text_around_it(hypervisor: str, name: str, version: str) -> None:
    samples = read(render([host(guest(name), hypervisor=hypervisor, version=version)]))
    plain = read(render([host(guest("a"), hypervisor="b", version="c")]))
    if version:
        assert sorted(name for name, dummy in samples) == sorted(name for name, dummy in plain)
