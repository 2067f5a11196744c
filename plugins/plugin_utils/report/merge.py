# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host documents of this run, and of files of other runs -> one report. Nothing is left out in silence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.report.schema import HOST, HOST_SCHEMA, REPORT
from ansible_collections.fleet.rng.plugins.plugin_utils.report.summary import summarize
from ansible_collections.fleet.rng.plugins.plugin_utils.report.valid import mistake

TIME = "%Y-%m-%dT%H:%M:%SZ"
AHEAD = timedelta(hours=1)  # clocks differ; a document further ahead would win over all that come after it


@dataclass(frozen=True)
class Found:
    """A file that may hold documents: its content, or why it could not be read."""

    name: str
    content: bytes = b""
    error: str = ""


def merge(own: Sequence[dict[str, Any]], files: Iterable[Found], *, title: str, generated: str) -> dict[str, Any]:
    """The report of all hypervisors; of each the document that was collected last, and of two of the same time our own.

    A file with something else than a host document or a report is left out, with a warning that names it.
    """
    hosts: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    for found in files:
        documents, left_out = _documents(found)
        warnings += [f"{printable(found.name, 300)}: left out: {why}" for why in left_out]
        for document in documents:
            _keep_newest(hosts, document)
    for document in own:
        _keep_newest(hosts, document)
    ordered = [hosts[name] for name in sorted(hosts)]
    warnings += _ahead(ordered, generated)
    return {
        "schema": REPORT,
        "generated": generated,
        "title": title,
        "summary": summarize(ordered, warnings),
        "hosts": ordered,
    }


def _keep_newest(hosts: dict[str, dict[str, Any]], document: dict[str, Any]) -> None:
    known = hosts.get(document["hypervisor"])
    if known is None or known["collected"] <= document["collected"]:
        hosts[document["hypervisor"]] = document


def _documents(found: Found) -> tuple[list[dict[str, Any]], list[str]]:
    """The valid host documents of one file, and what is wrong with the others."""
    if found.error:
        return [], [found.error]
    try:
        content = json.loads(found.content.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError:
        return [], ["it is not UTF-8"]
    except RecursionError:
        return [], ["it is nested too deeply"]
    except ValueError as error:
        return [], [f"it is not JSON: {printable(str(error), 200)}"]
    if not isinstance(content, dict) or content.get("schema") not in (HOST, REPORT):
        return [], [f"it is neither a {HOST} nor a {REPORT} document"]
    candidates = content.get("hosts") if content["schema"] == REPORT else [content]
    if not isinstance(candidates, list):
        return [], ["it has no hosts"]
    documents, left_out = [], []
    for index, candidate in enumerate(candidates):
        wrong = mistake(candidate, HOST_SCHEMA) or _impossible_time(candidate)
        if wrong is None:
            documents.append(candidate)
        else:
            left_out.append(wrong if candidate is content else f"hosts[{index}]: {wrong}")
    return documents, left_out


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _impossible_time(document: Mapping[str, Any]) -> str | None:
    try:
        datetime.strptime(document["collected"], TIME)
    except ValueError:
        return f"collected is {document['collected']!r}, and has to be a time"
    return None


def _ahead(documents: Iterable[Mapping[str, Any]], generated: str) -> list[str]:
    limit = (datetime.strptime(generated, TIME) + AHEAD).strftime(TIME)
    return [
        f"{printable(document['hypervisor'], 80)}: its document is of {document['collected']}, which is still to come: "
        "newer ones will not replace it. Check the clock of the machine that wrote it."
        for document in documents
        if document["collected"] > limit
    ]
