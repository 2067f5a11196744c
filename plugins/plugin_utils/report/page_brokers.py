# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page says of entropy brokers: the state of each in a word, and their classes all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import CUT_OFF, RUNNING
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_facts import amount, span

# The worst first, as lists have them.
STALE, NO_SOURCE, WAIT, UNREADABLE, FALLBACK, SERVING = (
    "stale",
    "no source",
    "guests wait",
    "unreadable",
    "fallback",
    "serving",
)
STATES = (STALE, NO_SOURCE, WAIT, UNREADABLE, FALLBACK, SERVING)
CLIENTS = 12  # guests of a broker that the page lists; report.json has more
DEEPEST = 6  # levels that are indented; deeper ones stand with the last
WIDTH = 1000  # units of every bar

Path = tuple[str, ...]  # of names, from the top of the tree


@dataclass(frozen=True)
class Broker:
    """One broker in the page's words; ``data`` is what the document has of it."""

    host: int  # its place in the page's list of hypervisors
    hypervisor: str
    state: str
    why: str
    data: Mapping[str, Any]

    @property
    def source(self) -> str:
        return "unknown" if self.state in (STALE, UNREADABLE) else self.data["serving"] or "none"

    @property
    def guests(self) -> int | None:
        guests: int | None = self.data["guests_total"]  # None where it cannot be read, as of the others
        return guests

    @property
    def waiting(self) -> int | None:
        waiting: int | None = self.data["waiting_long"]
        return waiting

    @property
    def served(self) -> int | None:
        tops = [one["bytes"] for one in self.data["classes"] if one["parent"] is None]
        return None if self.state == UNREADABLE else sum(tops)


@dataclass
class Class:
    """A class of the same name and place in the tree, over all brokers that have it."""

    name: str
    parent: str
    level: int
    rates: set[int] = field(default_factory=set)
    ceilings: set[int | None] = field(default_factory=set)
    brokers: int = 0
    counts: Counter[str] = field(default_factory=Counter)  # clients, waiting, bytes, borrowed
    share: float = 0.0  # of all bytes served
    guaranteed: float = 0.0  # of all rates

    @property
    def rate(self) -> str:
        return _rates(self.rates)

    @property
    def ceiling(self) -> str:
        limits = {one for one in self.ceilings if one is not None}
        words = [_rates(limits)] if limits else []
        return " or ".join([*words, UNLIMITED] if None in self.ceilings else words)

    @property
    def marks(self) -> tuple[float, float]:
        """What it got, and what is guaranteed to it, on a bar that is all."""
        return round(WIDTH * self.share, 1), round(WIDTH * self.guaranteed, 1)


def brokers_of(hosts: Sequence[Mapping[str, Any]]) -> list[Broker]:
    """The brokers of a clean report, those to look at first."""
    found = [
        _broker(index, host["hypervisor"], broker)
        for index, host in enumerate(hosts)
        if (broker := (host.get("rng") or {}).get("broker"))
    ]
    return sorted(found, key=lambda one: (STATES.index(one.state), one.hypervisor))


def _broker(index: int, hypervisor: str, data: Mapping[str, Any]) -> Broker:
    lost = [source for source in data["sources"] if source["state"] in CUT_OFF]
    if data["status"] != RUNNING:
        state, why = data["status"], data["why"]
    elif not data["serving"]:
        state, why = NO_SOURCE, "; ".join(map(_source, data["sources"]))
    elif data["waiting_long"]:
        longest = max(guest["waiting"] or 0 for guest in data["guests"])
        state, why = WAIT, f"the longest for {longest:.0f} s"
    elif lost:
        state, why = FALLBACK, "; ".join(map(_source, lost))
    else:
        state, why = SERVING, ""
    return Broker(index, hypervisor, state, why or "", data)


def _source(source: Mapping[str, Any]) -> str:
    return f"{source['source']} {source['state']}" + (f": {source['why']}" if source["why"] else "")


def counts(brokers: Iterable[Broker]) -> dict[str, int]:
    """How many there are in each state, in the order of STATES; only states that occur."""
    found = Counter(one.state for one in brokers)
    return {state: found[state] for state in STATES if found[state]}


def classes(brokers: Sequence[Broker]) -> list[Class]:
    """The classes of all brokers as one tree, each below its parent."""
    found: dict[Path, Class] = {}
    for broker in brokers:
        for path, one in tree(summed(broker.data["classes"])):
            parent = path[-2] if len(path) > 1 else ""
            row = found.setdefault(path, Class(path[-1], parent, min(len(path), DEEPEST)))
            row.brokers += 1
            row.rates.add(one["rate"])
            row.ceilings.add(one["ceil"])
            row.counts.update({key: one[key] for key in ("clients", "waiting", "bytes", "borrowed", "rate")})
    tops = [row for path, row in found.items() if len(path) == 1]
    served, promised = (sum(row.counts[key] for row in tops) for key in ("bytes", "rate"))
    for row in found.values():
        row.share = row.counts["bytes"] / served if served else 0.0
        row.guaranteed = row.counts["rate"] / promised if promised else 0.0
    return [found[path] for path in sorted(found)]


def summed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same classes, where one that holds others has their connections: the broker counts each where it ends."""
    found = {row["name"]: dict(row) for row in rows}
    inner = {row["parent"] for row in rows}
    for name in inner - {None}:
        found[name].update(clients=0, waiting=0)
    for row in rows:
        above = row["parent"]
        while row["name"] not in inner and above is not None:
            for key in ("clients", "waiting"):
                found[above][key] += row[key]
            above = found[above]["parent"]
    return list(found.values())


def tree(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The classes of one broker with their paths from the top, each below its parent, in the broker's order."""
    children: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in rows:
        children.setdefault(row["parent"], []).append(row)
    left: list[tuple[Path, Mapping[str, Any]]] = []

    def go_below(path: Path, name: str | None) -> None:
        left.extend(((*path, one["name"]), one) for one in reversed(children.get(name, ())))

    go_below((), None)
    while left:
        path, row = left.pop()
        yield path, row
        go_below(path, row["name"])


def _rates(rates: set[int]) -> str:
    return f"{amount(min(rates))}/s" if len(rates) == 1 else f"{span(min(rates), max(rates))}/s"


def columns_of(broker: Broker) -> dict[str, Any]:
    """What the script of the page needs of one, small: rows without names of their keys."""
    data = broker.data
    return {
        "host": broker.host,
        "state": broker.state,
        "why": broker.why,
        "source": broker.source,
        "guests": broker.guests,
        "waiting": broker.waiting,
        "served": broker.served,
        "version": data.get("version"),
        "rate": data.get("rate"),
        "clients": data.get("clients"),
        "refused": data.get("refused"),
        "age": data.get("age"),
        "sources": [[one[key] for key in ("source", "state", "why", "bytes")] for one in data["sources"]],
        "classes": [
            [min(len(path), DEEPEST), path[-2] if len(path) > 1 else ""]
            + [one[key] for key in ("name", "rate", "ceil", "clients", "waiting", "bytes", "borrowed")]
            for path, one in tree(summed(data["classes"]))
        ],
        "served_guests": [
            [one[key] for key in ("guest", "class", "bytes", "requests", "waiting")] for one in data["guests"][:CLIENTS]
        ],
    }
