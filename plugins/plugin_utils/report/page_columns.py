# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data inside the page, small: by columns, and each repeated value once.

A column is ``{"c": value}`` where all rows agree, ``{"d": values, "i": places}`` where values repeat, and
``{"v": values}`` where they do not. ``data.js`` undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_brokers import Broker, columns_of
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_facts import Guest
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_hosts import Host

Column = dict[str, Any]

# What a browser would take for the end of the script, for markup, or for the end of a line.
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_PLAIN = ("name", "uuid", "inventory", "groups", "running", "persistent", "state", "wanted", "reason")
_OUTCOME = ("config", "live", "changed", "reason", "error")
_CHECKS = ("config", "live", "source", "rate", "driver", "current", "open", "measured")
_VIEW = ("via", "status", "why", "os", "kernel", "current", "available", "driver", "entropy_avail")
_MEASURED = ("bytes_per_second", "bytes", "seconds", "health")
_BROKER = ("class", "bytes", "requests", "waits", "waiting")
_HOST = ("name", "trouble", "why", "software", "current", "collected", "age")


def packed(values: Sequence[Any]) -> Column:
    """One column."""
    places: dict[Any, int] = {}
    distinct: list[Any] = []
    indices = []
    for value in values:
        key = json.dumps(value, sort_keys=True) if isinstance(value, Mapping | list) else (type(value), value)
        if key not in places:
            places[key] = len(distinct)
            distinct.append(value)
        indices.append(places[key])
    if len(distinct) == 1:
        return {"c": distinct[0]}
    if len(distinct) * 2 > len(indices):
        return {"v": list(values)}
    return {"d": distinct, "i": indices}


def embedded(document: Any) -> str:
    """JSON that is safe between ``<script>`` and ``</script>``."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


def page_data(
    hosts: Sequence[Mapping[str, Any]], seen: Sequence[Host], guests: Sequence[Guest], brokers: Sequence[Broker] = ()
) -> dict[str, Any]:
    """What the script of the page reads."""
    return {
        "hosts": {"count": len(hosts), "columns": _host_columns(hosts, seen)},
        "guests": {"count": len(guests), "columns": _guest_columns(guests)},
        "brokers": {"count": len(brokers), "columns": _broker_columns(brokers)},
    }


def _pick(prefix: str, keys: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    return {prefix + key: packed([row.get(key) for row in rows]) for key in keys}


def _host_columns(hosts: Sequence[Mapping[str, Any]], seen: Sequence[Host]) -> dict[str, Column]:
    return {
        **{key: packed([getattr(host, key) for host in seen]) for key in _HOST},
        "budget": packed([host.get("budget") for host in hosts]),
        "compliance": packed([host.get("compliance") or [] for host in hosts]),
    }


def _broker_columns(brokers: Sequence[Broker]) -> dict[str, Column]:
    rows = [columns_of(broker) for broker in brokers]
    return _pick("", rows[0], rows) if rows else {}


def _guest_columns(guests: Sequence[Guest]) -> dict[str, Column]:
    rows = [guest.data for guest in guests]
    columns = {
        "host": packed([guest.host for guest in guests]),
        "verdict": packed([guest.verdict for guest in guests]),
        "run": packed([list(guest.run) for guest in guests]),
        "rng": packed([guest.rng for guest in guests]),
        "why": packed([guest.why for guest in guests]),
        "devices": packed([guest.devices for guest in guests]),
        "again": packed([row.get("after") is not None for row in rows]),
        "findings": packed([row.get("findings") or [] for row in rows]),
        **_pick("", _PLAIN, rows),
        **_pick("outcome_", _OUTCOME, [row.get("outcome") or {} for row in rows]),
    }
    for layers in ("before", "after"):
        columns |= _pick(f"{layers}_", ("config", "live"), [row.get(layers) or {} for row in rows])
    views = [row.get("view") or {} for row in rows]
    columns |= _pick("view_", _VIEW, views)
    columns |= _pick("measured_", _MEASURED, [view.get("measured") or {} for view in views])
    columns |= _pick("broker_", _BROKER, [row.get("broker") or {} for row in rows])
    for check in _CHECKS:
        found = [(row.get("checks") or {}).get(check) or {} for row in rows]
        columns |= _pick(f"check_{check}_", ("result", "message"), found)
    return columns
