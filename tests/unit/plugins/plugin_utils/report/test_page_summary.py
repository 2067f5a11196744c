# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of the page, counted another way."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page_facts, page_hosts, page_summary
from ansible_collections.fleet.rng.tests.fleet.generate import COLLECTED, documents

HOSTS = page_facts.clean(list(documents(30, 12)))
GUESTS = page_facts.guests_of({"hosts": HOSTS})
SEEN = page_hosts.hosts_of(HOSTS, COLLECTED)


def test_all_hypervisors_and_groups_add_up() -> None:
    everything, groups, by_host = page_summary.tallies(HOSTS, GUESTS)
    assert everything.guests == sum(len(host["guests"]) for host in HOSTS) == sum(one.guests for one in by_host)
    verified = [guest for host in HOSTS for guest in host["guests"] if guest["verdict"] == "verified"]
    assert everything.verdicts["verified"] == len(verified) > 0
    memberships = sum(len(guest["groups"]) or 1 for host in HOSTS for guest in host["guests"])
    assert sum(group.guests for group in groups) == memberships


def test_each_matter_counts_all_its_guests() -> None:
    found = {matter.word: matter for matter in page_summary.matters(SEEN.all, GUESTS, ())}
    assert found["Not observed"].count == sum(bool(host["error"]) for host in HOSTS)
    assert found["Refused"].count == sum("refused" in guest.run for guest in GUESTS)
    assert found["Needs a restart"].count == sum("needs restart" in guest.run for guest in GUESTS)
    for matter in found.values():
        assert len(matter.reasons) <= page_summary.REASONS
        assert all(len(reason.names) <= min(reason.count, page_summary.NAMES) for reason in matter.reasons)


def test_changes_count_every_changed_guest() -> None:
    shown, more = page_summary.changes(HOSTS, GUESTS)
    assert more == 0
    assert sum(kind[-1] for kind in shown) == sum("changed" in guest.run for guest in GUESTS) > 0


def test_findings_come_once_by_id_with_every_subject() -> None:
    found = page_summary.findings(HOSTS, GUESTS)
    kinds = [(page_facts.SEVERITIES.index(one.severity), one.id) for one in found]
    assert kinds == sorted(set(kinds))
    hosts = sum(len((host["rng"] or {"findings": []})["findings"]) for host in HOSTS)
    guests = sum(len(guest["findings"]) for host in HOSTS for guest in host["guests"])
    assert sum(len(one.subjects) for one in found) == hosts + guests > 0


@pytest.mark.parametrize("counts", [{}, {"a": 0}, {"a": 1}, {"a": 1, "b": 100_000}, {"a": 3, "b": 0, "c": 1}])
def test_a_bar_is_full_and_shows_whatever_counts(counts: dict[str, int]) -> None:
    found = page_summary.parts(counts)
    assert [word for word, *dummy in found] == [word for word, count in counts.items() if count]
    assert all(width > 3 for *dummy, width in found)
    assert sum(width for *dummy, width in found) == pytest.approx(1000 if found else 0, abs=1)


def test_what_would_change_comes_from_the_plan_whatever_a_second_look_saw() -> None:
    checked = [{**host, "check_mode": True} for host in HOSTS]
    shown, dummy = page_summary.changes(checked, GUESTS)
    wanted = {page_facts.devices_text([guest.data["wanted"]] if guest.data["wanted"] else []) for guest in GUESTS}
    assert {kind[3] for kind in shown} <= wanted


def test_warnings_come_once_for_all_hypervisors_that_have_them() -> None:
    warned = [("hv1", "hv1: no room"), ("hv2", "hv2: no room"), ("", "a.json: left out")]
    missing, warnings = page_summary.matters((), (), warned)
    assert [(reason.why, reason.names) for reason in missing.reasons] == [("a.json: left out", ())]
    assert [(reason.why, reason.names) for reason in warnings.reasons] == [("no room", ("hv1", "hv2"))]


def test_a_refused_guest_stands_in_one_card_and_each_card_says_what_to_do() -> None:
    finding = {"id": "RNG101", "severity": "error", "message": "no", "remedy": "Do it."}
    found = {"outcome": {}, "running": True, "verdict": "failed", "reason": "not there", "findings": [finding]}
    guests = [
        page_facts.Guest({**found, "name": name, **more}, 0, "hv1", [], more.get("verdict", "failed"), run, "why")
        for name, run, more in [
            ("a", ("refused",), {}),
            ("b", ("unchanged",), {}),
            ("c", ("unchanged",), {"verdict": "unproven", "findings": []}),
        ]
    ]
    told = {matter.word: matter for matter in page_summary.matters((), guests, ())}
    assert {word: matter.reasons[0].names for word, matter in told.items()} == {
        "Refused": ("a",),
        "Failed": ("b",),
        "Unproven": ("c",),
    }
    assert told["Failed"].above == 1
    assert told["Refused"].reasons[0].remedies == told["Failed"].reasons[0].remedies == ("Do it.",)
    assert told["Unproven"].reasons[0].remedies == (page_summary.UNPROVEN,)
