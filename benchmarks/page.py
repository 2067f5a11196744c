# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the report's page: making it, opening it, and filtering while one types: benchmarks/page.py --help."""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # where made-up fleets are
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".collections"))

from ansible_collections.fleet.rng.plugins.plugin_utils.report.page import render_page
from fleet.generate import COLLECTED, documents
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
WAIT = 120_000  # milliseconds
# What the browser has to do for any file: the page is compared with it in the same minute.
EMPTY = '<!DOCTYPE html><title>Empty</title><p>Nothing<script>performance.mark("ready")</script>'
WORDS = ("web-0777", "hv0042 verified", "/dev/urandom tpm", "a1", "nothing has this")
BOXES = ("failed", "waiting", "verified", "needs restart", "changed")
LISTS = (("Group", "db"), ("Hypervisor", "hv0123.example.com"))

# When the guests' table is on the screen: two frames after the script was ready.
LOADED = """() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve({
    ready: performance.getEntriesByName("ready")[0].startTime,
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
    shown: performance.now(),
    heap: performance.memory?.usedJSHeapSize ?? NaN,
}))))"""
# One step of a user until it is on the screen, and the part of it that the page's own script took.
STEP = """async (act) => {
    performance.clearMeasures("filter");
    const begin = performance.now();
    (ACT)();
    const script = performance.now() - begin;
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return { script, shown: performance.now() - begin };
}"""


def main() -> int:
    """Make the page, open it, use it, print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks/page.py", description=__doc__)
    parser.add_argument("--hypervisors", type=int, default=1000)
    parser.add_argument("--guests", type=int, default=20, help="of each hypervisor (20)")
    parser.add_argument("--rounds", type=int, default=5, help="how often the page is made and opened (5)")
    given = parser.parse_args()
    if not Path(CHROMIUM).exists():
        print("bench: error: there is no Chromium; tests/page/prepare.sh installs it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="fleet-rng-bench-page-") as folder:
        page, rows = made(Path(folder), given.hypervisors, given.guests, given.rounds)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=WAIT)
            print(circumstances(browser.version), end="\n\n", flush=True)
            rows += [*opened(browser, page, Path(folder), given.rounds), *used(browser, page)]
            browser.close()
    print("| What | Median | Range |\n|---|---|---|")
    print("\n".join(rows))
    return 0


def made(folder: Path, hypervisors: int, guests: int, rounds: int) -> tuple[Path, list[str]]:
    """The page of a large fleet, and what it took to make it."""
    hosts = list(documents(hypervisors, guests))
    whole = {"schema": "fleet.rng/report/1", "generated": COLLECTED, "title": "Large", "summary": {}, "hosts": hosts}
    before, times, cpu, text = peak(), [], [], ""
    for dummy in range(rounds):
        begin = time.monotonic(), time.process_time()
        text = render_page(whole)
        times.append(time.monotonic() - begin[0])
        cpu.append(time.process_time() - begin[1])
    total = sum(len(host["guests"]) for host in hosts)
    page = folder / "page.html"
    page.write_text(text, encoding="utf-8")
    size, more = page.stat().st_size / 2**20, (peak() - before) / 1024
    return page, [
        row(f"make the page of {hypervisors:,} hypervisors with {total:,} guests", times, "s"),
        row("its processor time", cpu, "s"),
        row("its size", [size], "MiB"),
        row("memory that making it adds to the report's own", [more], "MiB"),
    ]


def peak() -> int:
    """The largest memory of this process so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def opened(browser: Browser, path: Path, folder: Path, rounds: int) -> Iterator[str]:
    """How long until the page can be used, and the same of an empty one right before it."""
    empty = folder / "empty.html"
    empty.write_text(EMPTY, encoding="utf-8")
    found: dict[Path, list[dict[str, float]]] = {empty: [], path: []}
    for dummy in range(rounds):
        for file, samples in found.items():
            with visiting(browser, file) as page:
                samples.append(page.evaluate(LOADED))
    whole, bare = found[path], found[empty]
    yield row("open it: first paint", [one["paint"] for one in whole], "ms")
    yield row("open it: its script is ready", [one["ready"] for one in whole], "ms")
    yield row("open it: the table of guests is on the screen", [one["shown"] for one in whole], "ms")
    yield row("an empty page on the screen", [one["shown"] for one in bare], "ms")
    ratios = [one["shown"] / other["shown"] for one, other in zip(whole, bare, strict=True)]
    yield row("the page / an empty page", ratios, "")
    yield row("memory of its script", [one["heap"] / 2**20 for one in whole], "MiB")


def used(browser: Browser, path: Path) -> Iterator[str]:
    """How long each key and each choice takes."""
    with visiting(browser, path) as page:
        typed, chosen = [], []
        for word in WORDS:
            typed += [type_(page, word[:end]) for end in range(1, len(word) + 1)]
            typed += [type_(page, "")]
        for box in BOXES:
            chosen += [tick(page, box), *(type_(page, "web"[:end]) for end in (1, 2, 3)), tick(page, box)]
            type_(page, "")
        for label, option in LISTS:
            chosen += [pick(page, label, option), type_(page, "w"), pick(page, label, ""), type_(page, "")]
    yield row("a key in the search, on the screen", [one["shown"] for one in typed], "ms")
    yield row("a key in the search, its script alone", [one["script"] for one in typed], "ms")
    yield row("a filter, or a key with filters on, on the screen", [one["shown"] for one in chosen], "ms")
    yield row("a filter, or a key with filters on, its script alone", [one["script"] for one in chosen], "ms")


def type_(page: Page, text: str) -> dict[str, Any]:
    return step(page, "document.getElementById('search')", f"at.value = {text!r}; at.dispatchEvent(new Event('input'))")


def tick(page: Page, word: str) -> dict[str, Any]:
    labels = "[...document.querySelectorAll('.chip')]"
    return step(page, f"{labels}.find((chip) => chip.textContent.startsWith({word!r}))", "at.click()")


def pick(page: Page, label: str, option: str) -> dict[str, Any]:
    start = f"{option} (" if option else "any"
    choice = f"[...at.options].findIndex((one) => one.textContent.startsWith({start!r}))"
    change = f"at.selectedIndex = {choice}; at.dispatchEvent(new Event('change'))"
    lists = "[...document.querySelectorAll('.pickers label')]"
    return step(page, f"{lists}.find((one) => one.textContent.startsWith({label!r})).querySelector('select')", change)


def step(page: Page, where: str, what: str) -> dict[str, Any]:
    """Do one thing; looking for the place is not measured."""
    found: dict[str, Any] = page.evaluate(STEP.replace("(ACT)", f"(((at) => () => {{ {what} }})({where}))"))
    return found


@contextmanager
def visiting(browser: Browser, path: Path) -> Iterator[Page]:
    """A window of its own, with nothing cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto(path.as_uri())
    yield page
    context.close()


def row(what: str, values: Sequence[float], unit: str) -> str:
    """A line of the table."""
    spread = f"{digits(min(values))} to {digits(max(values))}" if len(values) > 1 else ""
    return f"| {what} | {digits(statistics.median(values))} {unit} | {spread} |".replace("  ", " ")


def digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def circumstances(browser: str) -> str:
    """When and where."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown")
    load = os.getloadavg()[0]
    system = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"{datetime.date.today():%Y-%m-%d}: Python {sys.version.split()[0]}, headless Chromium {browser}; "
        f"{os.cpu_count()} processors ({processor}), Linux {system}, load {load:.1f}."
    )


if __name__ == "__main__":
    sys.exit(main())
