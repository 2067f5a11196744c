# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page as a file: complete, closed, and with everything of others as text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page
from ansible_collections.fleet.rng.tests.fleet.generate import NASTY, documents

VOID = {"meta", "link", "input", "br"}


class Parsed(HTMLParser):
    """Tags, attributes and text of a page; fails when tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def report(**changes: Any) -> dict[str, Any]:
    whole = {"schema": "fleet.rng/report/1", "generated": "2026-11-21T12:00:00Z", "title": "Fleet", "summary": {}}
    return {**whole, "hosts": list(documents(4, 25)), **changes}


@pytest.fixture(scope="module")
def text() -> str:
    return page.render_page(report())


def test_it_is_well_formed_and_has_each_id_once(text: str) -> None:
    parsed = Parsed(text)
    ids = [attributes["id"] for dummy, attributes in parsed.tags if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)
    assert {"glance", "todo", "changes", "groups", "hypervisors", "rates", "findings", "guests"} <= set(ids)


def test_it_loads_nothing(text: str) -> None:
    for tag, attributes in Parsed(text).tags:
        assert tag not in ("img", "iframe", "object", "base")
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/svg+xml,")), attributes


def test_the_policy_names_exactly_the_style_and_the_script_that_are_there(text: str) -> None:
    style = re.search("<style>(.*?)</style>", text, re.S)
    script = re.search("<script>(.*?)</script>", text, re.S)
    content = re.search('Content-Security-Policy" content="([^"]*)"', text)
    assert style
    assert script
    assert content
    expected = page.policy(style[1], script[1])
    assert content[1].replace("&#39;", "'").replace("&#43;", "+") == expected
    assert "unsafe" not in expected


@pytest.mark.parametrize("name", NASTY)
def test_any_name_is_text(name: str) -> None:
    hosts = list(documents(1, 2))
    hosts[0]["guests"][0]["name"] = hosts[0]["hypervisor"] = name
    hosts[0]["groups"] = hosts[0]["guests"][0]["groups"] = [name]
    usual, nasty = Parsed(page.render_page(report(hosts=list(documents(1, 2))))), page.render_page(report(hosts=hosts))
    parsed = Parsed(nasty)
    assert {tag for tag, dummy in parsed.tags} <= {tag for tag, dummy in usual.tags} | {"bdi", "p", "details"}
    assert sum(tag == "script" for tag, dummy in parsed.tags) == 2


def test_the_data_cannot_end_its_script(text: str) -> None:
    data = re.search('<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert data
    assert not set("<>&\u2028\u2029") & set(data[1])
    assert json.loads(data[1])["guests"]["count"] == sum(len(host["guests"]) for host in documents(4, 25)) > 0


def test_a_report_of_nothing_has_a_page() -> None:
    parsed = Parsed(page.render_page(report(hosts=[])))
    assert "There are no guests." in parsed.texts


def test_a_hypervisor_that_was_not_observed_is_named_with_its_reason() -> None:
    hosts = [host for host in documents(40, 1) if host["error"]][:1]
    assert hosts
    text = "".join(Parsed(page.render_page(report(hosts=hosts))).texts)
    assert hosts[0]["error"].startswith("not observed: ")
    assert text.count(hosts[0]["error"]) == 1
    assert "not observed: not observed" not in text
    assert "1 of 1 hypervisor could not be observed." in text


def test_warnings_of_hypervisors_and_of_the_report_are_shown() -> None:
    hosts = list(documents(3, 1))
    for host in hosts:
        host["warnings"] = [f"{host['hypervisor']}: no room <left>"]
    summary = {"warnings": ["site/hv9.json: left out: it is not JSON"]}
    found = Parsed(page.render_page(report(hosts=hosts, summary=summary))).texts
    assert found.count("no room <left>") == 1  # once for the three of them
    assert "site/hv9.json: left out: it is not JSON" in found


def test_documents_of_several_runs_show_their_age() -> None:
    hosts = [host for host in documents(9, 1) if not host["error"]][:3]
    assert "Seen (UTC)" not in Parsed(page.render_page(report(hosts=hosts))).texts
    hosts[1]["collected"] = "2026-11-18T11:00:00Z"
    found = Parsed(page.render_page(report(hosts=hosts))).texts
    assert {"Seen (UTC)", "2026-11-18 11:00", "3 days old"} <= set(found)


@pytest.mark.parametrize(
    ("modes", "said"),
    [((0, 0), None), ((1, 1), "Nothing was changed in this run; "), ((1, 0), "Nothing was changed on 1 hypervisor; ")],
)
def test_what_would_change_is_never_said_to_have_changed(modes: tuple[bool, bool], said: str | None) -> None:
    hosts = [{**host, "check_mode": bool(mode)} for host, mode in zip(documents(2, 5), modes, strict=True)]
    found = "".join(Parsed(page.render_page(report(hosts=hosts))).texts)
    assert all(
        (start in found) == (start == said)
        for start in ("Nothing was changed in this run; ", "Nothing was changed on 1 hypervisor; ")
    )
    assert ("What changed in this run" in found) == (said is None)


def test_one_is_not_many() -> None:
    hosts = [host for host in documents(9, 1) if not host["error"]][:1]
    found = "".join(Parsed(page.render_page(report(hosts=hosts))).texts)
    assert "1 hypervisor, 1 guest." in found
    body = found.partition('"use strict"')[0]
    assert not re.search(r"\b1 (guests|hypervisors|hours|days|reasons|rates|wordings)\b", body)


def test_a_run_that_verified_nothing_says_so_and_counts_no_verdicts() -> None:
    hosts = list(documents(2, 5))
    for host in hosts:
        for guest in host["guests"]:
            guest["verdict"] = None
    found = page.render_page(report(hosts=hosts))
    assert "not verified in this run" in found
    assert 'data-column="verified"' not in found
    assert '<li class="tile t-failed' not in found
    assert '<li class="tile t-failed' in page.render_page(report())
