# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests of a report as CSV (RFC 4180), one row each, for spreadsheets.

A spreadsheet takes a cell that begins with certain signs for a formula, and guests may have any name. Such a cell gets
an apostrophe in front; so does one that begins with an apostrophe, so that taking one away always gives the text back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.report.summary import LAYERS, devices_of

COLUMNS = (
    "hypervisor",
    "guest",
    "uuid",
    "inventory",
    "groups",
    "running",
    "state",
    "wanted_source",
    "wanted_max_bytes",
    "wanted_period",
    *(f"{layer}_{key}" for layer in LAYERS for key in ("devices", "source", "max_bytes", "period")),
    "config_outcome",
    "live_outcome",
    "changed",
    "error",
    "verdict",
    "reason",
    "findings",
    "view",
    "kernel",
    "current",
    "measured_bytes_per_second",
    *(f"broker_{key}" for key in ("class", "bytes", "requests", "waiting")),
    "collected",
    "check_mode",
)
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their wide forms
SEPARATOR = "; "  # between the values of a cell that has several


def guests_csv(hosts: Iterable[Mapping[str, Any]]) -> str:
    """The whole text, with a line of headings."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for host in hosts:
        for guest in host["guests"]:
            row = _row(host, guest)
            writer.writerow([_cell(row[column]) for column in COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(RISKY) and not isinstance(value, int | float) else text


def _row(host: Mapping[str, Any], guest: Mapping[str, Any]) -> dict[str, Any]:
    outcome, view = guest["outcome"], guest["view"] or {}
    row = {
        "hypervisor": host["hypervisor"],
        "guest": guest["name"],
        "groups": SEPARATOR.join(guest["groups"]),
        "changed": outcome["changed"],
        "error": outcome["error"],
        "findings": SEPARATOR.join(finding["id"] for finding in guest["findings"]),
        "view": view.get("status"),
        "kernel": view.get("kernel"),
        "current": view.get("current"),
        "measured_bytes_per_second": (view.get("measured") or {}).get("bytes_per_second"),
        "collected": host["collected"],
        "check_mode": host["check_mode"],
    }
    row.update({key: guest[key] for key in ("uuid", "inventory", "running", "state", "verdict", "reason")})
    client = guest.get("broker") or {}
    row.update({f"broker_{key}": client.get(key) for key in ("class", "bytes", "requests", "waiting")})
    row.update(_device("wanted", guest["wanted"]))
    for layer in LAYERS:
        devices = devices_of(guest)[layer]
        row[f"{layer}_outcome"] = outcome[layer]
        row[f"{layer}_devices"] = None if devices is None else len(devices)
        row.update(_device(layer, devices[0] if devices else None))
    return row


def _device(prefix: str, device: Mapping[str, Any] | None) -> dict[str, Any]:
    return {f"{prefix}_{key}": (device or {}).get(key) for key in ("source", "max_bytes", "period")}
