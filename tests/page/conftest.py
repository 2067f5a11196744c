# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless browser, and pages in it that must stay silent: no request, no dialog, no error, no breach of policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page import render_page
from fleet.generate import NASTY, documents
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT = 60_000  # milliseconds: a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS, timeout=WAIT)
        yield browser
        browser.close()


def report(hypervisors: int, guests: int) -> dict[str, Any]:
    whole = {"schema": "fleet.rng/report/1", "generated": "2026-11-21T12:00:00Z", "title": "Fleet", "summary": {}}
    hosts = list(documents(hypervisors, guests))
    for guest, name in zip(hosts[-1]["guests"], NASTY, strict=False):
        guest["name"] = guest["reason"] = name
        guest["groups"] = [name]
        if guest["view"]:
            guest["view"]["os"] = guest["view"]["current"] = name
    return {**whole, "hosts": hosts}


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    return report(8, 25)


@pytest.fixture(scope="session")
def small_file(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "small.html"
    path.write_text(render_page(small), encoding="utf-8")
    return path


@pytest.fixture
def noise() -> list[str]:
    """Whatever pages say or ask for."""
    return []


@pytest.fixture
def visit(browser: Browser, small_file: Path, noise: list[str]) -> Iterator[Callable[..., Page]]:
    """Open the page of a small fleet, or another one; any noise fails the test at its end."""
    contexts = []

    def opened(hash_: str = "", path: Path = small_file, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: (noise.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: noise.append(request.url) if wanted(request.url, path) else None)
        page.goto(path.as_uri() + hash_)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert noise == []


def wanted(url: str, path: Path) -> bool:
    """Whether a request is one that the page must not make."""
    return url.partition("#")[0] != path.as_uri() and not url.startswith("data:image/svg+xml,")
