# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file that needs nothing else: no network, no other file, and no script for what matters most.

Everything in the report is somebody else's text. The template escapes it, the script only ever sets text, and the
page's own policy lets a browser run this one script, apply this one style and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.notices import counted
from ansible_collections.fleet.rng.plugins.plugin_utils.report import (
    page_brokers,
    page_facts,
    page_hosts,
    page_rates,
    page_summary,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_columns import embedded, page_data
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

ASSETS = Path(__file__).resolve().parent / "page_assets"
STYLES = ("page.css", "parts.css", "tables.css", "guests.css", "brokers.css", "print.css")
SCRIPTS = ("data.js", "words.js", "dom.js", "filter.js", "table.js", "guests.js", "hosts.js", "brokers.js", "main.js")
ROWS = 100  # of each long table; without a script these are all


def render_page(report: Mapping[str, Any]) -> str:
    """Return the page.

    :param report: a document of the schema ``fleet.rng/report/1``.
    """
    report = page_facts.clean(report)
    hosts = sorted(report["hosts"], key=lambda host: (not host.get("error"), host["hypervisor"]))
    guests = page_facts.guests_of({"hosts": hosts})
    everything, groups, by_host = page_summary.tallies(hosts, guests)
    changes, more_changes = page_summary.changes(hosts, guests)
    seen = page_hosts.hosts_of(hosts, report["generated"])
    if not everything.judged:
        seen = replace(seen, columns=tuple(column for column in seen.columns if column not in page_hosts.JUDGED))
    quotas, more_quotas = page_rates.quotas(guests)
    budgets, bands = page_rates.budgets(hosts)
    brokers = page_brokers.brokers_of(hosts)
    style = bundle(STYLES)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=report.get("title") or "Random number generators",
            generated=report["generated"],
            hosts=hosts,
            seen=seen,
            guests=guests,
            all=everything,
            groups=groups,
            by_host=by_host,
            matters=page_summary.matters(seen.all, guests, _warnings(report)),
            changes=changes,
            more_changes=more_changes,
            findings=page_summary.findings(hosts, guests),
            quotas=quotas,
            more_quotas=more_quotas,
            budgets=budgets,
            bands=bands,
            rules=page_rates.rules(hosts),
            brokers=brokers,
            broker_states=page_brokers.counts(brokers),
            classes=page_brokers.classes(brokers),
            data=Markup(embedded(page_data(hosts, seen.all, guests, brokers))),  # noqa: S704  its markup is escaped as JSON's own \u003c
            style=Markup(style),  # noqa: S704  our own files
            script=Markup(script()),  # noqa: S704  our own files
            policy=policy(style, script()),
        )
    )


def _warnings(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("", warning) for warning in (report.get("summary") or {}).get("warnings") or ())
    for host in report["hosts"]:
        yield from ((host["hypervisor"], warning) for warning in host.get("warnings") or ())


@cache
def script() -> str:
    """The one script of the page, with names of its own."""
    return '"use strict";\n(() => {\n' + bundle(SCRIPTS) + "})();\n"


@cache
def bundle(names: tuple[str, ...]) -> str:
    """Source files of the page, one after the other."""
    return "".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


def policy(style: str, script: str) -> str:
    """What a browser may do with the page: apply the style, run the script, show its icon; nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "img-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "VERDICTS": page_facts.VERDICTS,
        "ROWS": ROWS,
        "BARS": page_rates.BARS,
        "SUBJECTS": page_summary.SUBJECTS,
        "limits": page_rates.BANDS,
        "span": page_facts.span,
    }
    environment.filters |= {
        "amount": page_facts.amount,
        "devices": page_facts.devices_text,
        "number": "{:,}".format,
        "moment": page_hosts.moment,
        "plural": counted,
    }
    return environment
