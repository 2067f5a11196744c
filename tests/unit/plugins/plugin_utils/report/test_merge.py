# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of many runs become one report; what is none is named, and never lost in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import Found, merge
from ansible_collections.fleet.rng.tests.fleet.generate import documents

NOW = "2026-11-21T12:00:00Z"
OLD = "2026-11-20T12:00:00Z"


def host(name: str = "hv1", collected: str = OLD, **changes: Any) -> dict[str, Any]:
    document = {"schema": "fleet.rng/host/1", "collected": collected, "check_mode": False, "hypervisor": name}
    document.update(groups=[], error=None, rng=None, kind=None, version=None, budget=None)
    return {**document, "warnings": [], "compliance": [], "guests": [], **changes}


def file(document: Any, name: str = "a.json") -> Found:
    return Found(name, document if isinstance(document, bytes) else json.dumps(document).encode())


def report(own: list[dict[str, Any]], *files: Found) -> dict[str, Any]:
    return merge(own, files, title="title", generated=NOW)


def test_a_report() -> None:
    made = report([host("hv2", NOW)], file(host("hv1")))
    assert list(made) == ["schema", "generated", "title", "summary", "hosts"]
    assert (made["schema"], made["generated"], made["title"]) == ("fleet.rng/report/1", NOW, "title")
    assert made["hosts"] == [host("hv1"), host("hv2", NOW)]
    assert made["summary"]["warnings"] == []


def test_the_newest_document_of_a_hypervisor_wins_wherever_it_is() -> None:
    new, old = host(collected=NOW, version="new"), host(collected=OLD, version="old")
    for made in (
        report([new], file(old)),
        report([old], file(new)),
        report([], file(old), file(new)),
        report([], file(new), file(old)),
    ):
        assert made["hosts"] == [new]


def test_of_two_documents_of_the_same_time_our_own_wins() -> None:
    own = host(version="own")
    assert report([own], file(host(version="file")))["hosts"] == [own]


def test_a_report_is_as_good_as_its_documents() -> None:
    fleet = list(documents(3, 4))
    whole = report(fleet)
    assert report([], file(whole))["hosts"] == whole["hosts"] == fleet


def test_merging_again_changes_nothing() -> None:
    fleet = list(documents(3, 4))
    once = report(fleet[:2], *(file(one) for one in fleet))
    assert report(fleet, *(file(one) for one in fleet), file(once)) == once == report(fleet)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Found("a.json", error="it cannot be read: Permission denied"), "it cannot be read: Permission denied"),
        (file(b"\xff{}"), "it is not UTF-8"),
        (file(b""), "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (file(json.dumps(host()).encode()[:-9]), "it is not JSON: "),
        (file(b'{"schema": NaN}'), "it is not JSON: NaN is no number"),
        (file(b"[" * 100_000), "it is nested too deeply"),
        (file(b"9" * 5000), "it is not JSON: "),
        (file([]), "it is neither a fleet.rng/host/1 nor a fleet.rng/report/1 document"),
        (file({"schema": "fleet.rng/host/2"}), "it is neither a "),
        (file({"schema": []}), "it is neither a "),
        (file({"schema": "fleet.rng/report/1"}), "it has no hosts"),
        (file(host(guests=None)), "guests is None, and has to be array"),
        (file(host(collected="2026-02-30T12:00:00Z")), "collected is '2026-02-30T12:00:00Z', and has to be a time"),
    ],
)
def test_what_is_no_document_is_left_out_and_named(found: Found, why: str) -> None:
    made = report([host("own")], found)
    assert [one["hypervisor"] for one in made["hosts"]] == ["own"]
    (warning,) = made["summary"]["warnings"]
    assert warning.startswith(f"a.json: left out: {why}")


def test_one_bad_document_of_a_report_is_left_out_alone() -> None:
    made = report([], file({"schema": "fleet.rng/report/1", "hosts": [host("hv1"), {}, host("hv2"), 5]}))
    assert [one["hypervisor"] for one in made["hosts"]] == ["hv1", "hv2"]
    assert [warning[:33] for warning in made["summary"]["warnings"]] == [
        "a.json: left out: hosts[1]: it ha",
        "a.json: left out: hosts[3]: it is",
    ]


def test_names_of_files_are_shown_harmlessly() -> None:
    (warning,) = report([], file(b"", "\x1b[2J\n.json"))["summary"]["warnings"]
    assert warning.startswith("\\x1b[2J\\x0a.json: left out: ")


@pytest.mark.parametrize(("collected", "count"), [("2026-11-21T13:00:00Z", 0), ("2026-11-21T13:00:01Z", 1)])
def test_a_document_from_the_future_is_named(collected: str, count: int) -> None:
    warnings = report([], file(host(collected=collected)))["summary"]["warnings"]
    assert len(warnings) == count
    assert all(warning.startswith(f"hv1: its document is of {collected}") for warning in warnings)
