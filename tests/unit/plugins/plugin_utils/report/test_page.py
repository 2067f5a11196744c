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
    assert f"not observed: {hosts[0]['error']}" in text
    assert "1 of 1 hypervisors could not be observed." in text
