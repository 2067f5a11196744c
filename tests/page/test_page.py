# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report, used in a browser as its readers use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page import render_page
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_brokers import brokers_of
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_facts import guests_of
from fleet.generate import NASTY, documents
from playwright.sync_api import Page, expect

AXE = Path(__file__).resolve().parents[2] / ".cache" / "page" / "node_modules" / "axe-core" / "axe.min.js"
ROWS = "#guests-table > tbody > tr:not(.detail)"
Visit = Callable[..., Page]


def count(page: Page, start: str) -> None:
    expect(page.locator("#count")).to_have_text(re.compile("^" + start))


def test_it_counts_as_the_report_does(visit: Visit, small: dict[str, Any]) -> None:
    guests = [guest for host in small["hosts"] for guest in host["guests"]]
    page = visit()
    verified = sum(guest["verdict"] == "verified" for guest in guests)
    expect(page.locator(".tile.t-verified .figure")).to_have_text(f"{verified} of {len(guests)}")
    count(page, f"{len(guests)} guests")
    lost = sum(bool(host["error"]) for host in small["hosts"])
    expect(page.locator("#hosts-table .b-error")).to_have_count(lost)


def test_a_number_leads_to_its_guests(visit: Visit, small: dict[str, Any]) -> None:
    refused = sum("refused" in guest.run for guest in guests_of(small))
    page = visit()
    page.locator(".tile.t-refused a").click()
    count(page, f"{refused} of ")
    expect(page.locator(ROWS)).to_have_count(refused)
    expect(page.get_by_role("checkbox", name="refused")).to_be_checked()


def test_search_and_facets_narrow_and_the_address_remembers(visit: Visit) -> None:
    page = visit()
    page.locator("#search").fill("web-0001")
    page.get_by_role("checkbox", name="verified").check()
    shown = page.locator(ROWS).count()
    assert 0 < shown < 25
    assert all("web-0001" in text and "verified" in text for text in page.locator(ROWS).all_inner_texts())
    expect(page).to_have_url(re.compile(r"#guests\?q=web-0001&verdict=verified$"))
    page.reload()
    expect(page.locator("#search")).to_have_value("web-0001")
    expect(page.locator(ROWS)).to_have_count(shown)


def test_an_address_opens_one_guest(visit: Visit, small: dict[str, Any]) -> None:
    guest = small["hosts"][-1]["guests"][-1]
    page = visit(f"#guests?guest={guest['uuid']}")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(".detail")).to_contain_text(guest["uuid"])


def test_a_sorted_list_starts_with_the_first(visit: Visit) -> None:
    page = visit()
    page.locator("#guests-table").get_by_role("button", name="Hypervisor").click()
    expect(page.locator("#guests-table th[aria-sort=ascending]")).to_have_text("Hypervisor")
    names = page.locator(f"{ROWS} > td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)


def test_keys_do_everything(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("web/0")  # a slash in the search is a slash
    expect(page.locator("#search")).to_have_value("web/0")
    page.keyboard.press("Escape")
    expect(page.locator("#search")).to_have_value("")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = page.locator(".opener").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(second).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".detail")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".detail")).to_have_count(0)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#search")).to_be_focused()


def test_pages_of_the_list_hold_every_guest_once(visit: Visit, small: dict[str, Any]) -> None:
    page = visit()
    seen = page.locator(".opener").all_inner_texts()
    while page.locator("#guests-pager").get_by_role("button", name="Next").is_enabled():
        page.locator("#guests-pager").get_by_role("button", name="Next").click()
        seen += page.locator(".opener").all_inner_texts()
    assert len(seen) == sum(len(host["guests"]) for host in small["hosts"])


def test_a_broker_unfolds_into_its_tree_its_sources_and_its_guests(visit: Visit, small: dict[str, Any]) -> None:
    brokers = brokers_of(small["hosts"])
    page = visit()
    rows = page.locator("#brokers-table > tbody > tr:not(.detail)")
    expect(rows).to_have_count(len(brokers))
    assert page.locator(".unfold").all_inner_texts() == [one.hypervisor for one in brokers]
    page.locator(".unfold").first.focus()
    page.keyboard.press("Enter")
    detail = page.locator("#brokers-table .detail")
    classes = [(row["name"], row["parent"]) for row in brokers[0].data["classes"]]
    expect(detail.locator(".classes tbody tr")).to_have_count(len(classes))
    for name, parent in classes:
        row = detail.locator(".classes tbody tr").filter(has=page.locator(f"th > bdi:text-is('{name}')"))
        expect(row.locator("th")).to_have_class(f"level-{2 if parent else 1}")
    for source in brokers[0].data["sources"]:
        expect(detail).to_contain_text(source["source"])
    expect(detail).to_contain_text(brokers[0].data["guests"][0]["guest"])
    detail.get_by_role("link", name="of this hypervisor").click()
    count(page, f"{len(small['hosts'][brokers[0].host]['guests'])} of ")
    page.locator(".unfold").first.click()
    expect(detail).to_have_count(0)


def test_brokers_are_sorted_by_what_stands_above_them(visit: Visit) -> None:
    page = visit()
    page.locator("#brokers-table").get_by_role("button", name="Served").click()
    amounts = page.locator("#brokers-table > tbody > tr > td:nth-child(6)").all_inner_texts()
    assert amounts == sorted(
        amounts, key=lambda text: float(text.split()[0]) * {"B": 0, "KiB": 1, "MiB": 1024}[text.split()[1]]
    )


def test_a_guest_shows_what_the_broker_served_it(visit: Visit, small: dict[str, Any]) -> None:
    guest = next(guest for host in small["hosts"] for guest in host["guests"] if guest["broker"])
    page = visit(f"#guests?guest={guest['uuid']}")
    expect(page.locator("#guests .detail")).to_contain_text("What the broker says")
    expect(page.locator("#guests .detail")).to_contain_text(f"{guest['broker']['requests']:,} requests")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_markup_shows_as_text(visit: Visit, script: bool) -> None:
    page = visit(java_script_enabled=script)
    if script:
        page.evaluate("for (const at of document.querySelectorAll('.opener')) at.click()")
    names = page.locator(f"{ROWS} th bdi").all_text_contents()
    assert {NASTY[0], NASTY[7], NASTY[9]} <= set(names) or not script
    expect(page.locator("main img, main textarea, bdi *")).to_have_count(0)


def test_without_a_script_the_answers_are_there(visit: Visit) -> None:
    page = visit(java_script_enabled=False)
    for name in ("glance", "todo", "changes", "groups", "hypervisors", "brokers", "rates", "findings", "compliance"):
        expect(page.locator(f"#{name}")).to_be_visible()
    expect(page.locator("#rates svg").first).to_be_visible()
    expect(page.locator("#search")).to_be_hidden()
    expect(page.locator(ROWS)).to_have_count(100)
    expect(page.get_by_text("need JavaScript").last).to_be_visible()


def test_colours_follow_the_system_and_the_switch(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.get_by_role("radio", name="Light").check(force=True)
    light = page.evaluate(colour)
    assert dark != light
    page.get_by_role("radio", name="Dark").check(force=True)
    assert page.evaluate(colour) == dark


def test_paper_has_all_filtered_guests_and_no_controls(visit: Visit, small: dict[str, Any]) -> None:
    page = visit()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator(ROWS)).to_have_count(sum(len(host["guests"]) for host in small["hosts"]))
    expect(page.locator("#search")).to_be_hidden()
    expect(page.locator(".sections")).to_be_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator(ROWS)).to_have_count(100)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_is_found(visit: Visit, scheme: str, width: int) -> None:
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator(".opener").first.click()
    page.locator(".unfold").first.click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_holds(visit: Visit, noise: list[str]) -> None:
    page = visit()
    blocked = page.evaluate("""() => {
        try { document.body.innerHTML = "<p>"; return false; } catch (error) { return error.name; }
    }""")
    assert blocked == "TypeError"
    assert ["Trusted" in message for message in noise] == [True]
    noise.clear()
    expect(page.locator("main")).to_be_visible()


def test_twenty_thousand_guests(visit: Visit, tmp_path: Path) -> None:
    hosts = list(documents(1000, 20))
    total = sum(len(host["guests"]) for host in hosts)
    path = tmp_path / "large.html"
    whole = {"schema": "fleet.rng/report/1", "generated": "2026-11-21T12:00:00Z", "title": "Large", "summary": {}}
    path.write_text(render_page({**whole, "hosts": hosts}), encoding="utf-8")
    page = visit(path=path)
    count(page, f"{total:,} guests")
    page.locator("#search").fill("hv0777")
    expected = sum(len(host["guests"]) for host in hosts if "hv0777" in host["hypervisor"])
    count(page, f"{expected} of ")
    expect(page.locator(ROWS)).to_have_count(expected)
