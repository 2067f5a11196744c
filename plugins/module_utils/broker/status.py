# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the broker tells of itself: the status document (``fleet.rng/broker/1``), and the same as OpenMetrics text."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from typing import Any, Collection, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..text import printable

SCHEMA = "fleet.rng/broker/1"
MOST_GUESTS = 200  # of a status document
FILE_LIMIT = 65536  # bytes of a status file: more of it is not read
PREFIX = "virtrngd_"

# In the order of how well they are; of the last three guests get nothing.
SERVING, STANDBY, STARTING, STALLED, FAILED, MISSING = "serving", "standby", "starting", "stalled", "failed", "missing"
STATES = (SERVING, STANDBY, STARTING, STALLED, FAILED, MISSING)
SOUND = (SERVING, STANDBY)

_NAME_LIMIT = 100  # characters of a guest's name
_PATH_LIMIT = 200
_WHY_LIMIT = 300

Document = Dict[str, Any]
Labels = Tuple[Tuple[str, str], ...]
Sample = Tuple[str, Labels, Optional[float]]


@dataclass(frozen=True)
class DaemonState:
    """The daemon as a whole. ``started`` is Unix time, ``rate`` that of the whole host, in bytes per second,
    ``configuration`` the SHA-256 of the file that it has read."""

    version: str
    pid: int
    started: float
    restarts: int = 0
    rate: Optional[int] = None
    refused: int = 0
    protocol_errors: int = 0
    configuration: str = ""


@dataclass(frozen=True)
class ClassState:
    """A class with its counters. An inner class has got and borrowed what the classes below it have, too; ``clients``,
    ``waiting`` and ``waits`` are of those that are directly in a class."""

    name: str
    parent: Optional[str]
    rate: int
    ceil: Optional[int]
    burst: int
    priority: int
    clients: int = 0
    waiting: int = 0
    bytes: int = 0
    requests: int = 0
    waits: int = 0
    borrowed: int = 0
    sockets: Tuple[str, ...] = ()


class ClientState(NamedTuple):
    """A connection. ``waiting_since``: when its oldest request came, on a clock of the caller's; None: it has none."""

    guest: str
    class_name: str
    pid: Optional[int]
    uid: Optional[int]
    bytes: int
    requests: int
    waits: int
    waiting_since: Optional[float]


def document(
    daemon: DaemonState,
    sources: Iterable[Mapping[str, Any]],
    classes: Iterable[ClassState],
    clients: Collection[ClientState],
    now: float,
    clock: float,
    most_guests: int = MOST_GUESTS,
) -> Document:
    """The status document.

    :param sources: as the pool tells them: source, state, why, bytes, failures.
    :param now: Unix time.
    :param clock: now on the clock of the clients' ``waiting_since``.
    :param most_guests: how many guests are listed: those that wait longest, then those that got most.
    """
    guests = _guests(clients, clock)
    return {
        "schema": SCHEMA,
        "version": daemon.version,
        "pid": daemon.pid,
        "started": round(daemon.started, 3),
        "updated": round(now, 3),
        "restarts": daemon.restarts,
        "configuration": daemon.configuration,
        "rate": daemon.rate,
        "clients": len(clients),
        "refused": daemon.refused,
        "protocol_errors": daemon.protocol_errors,
        "sources": [_source(source) for source in sources],
        "classes": [_class(one) for one in classes],
        "guests": [_shown(guest) for guest in heapq.nsmallest(most_guests, guests, key=_rank)],
        "guests_total": len(guests),
    }


def _guests(clients: Iterable[ClientState], clock: float) -> Collection[List[Any]]:
    """Rows of the guests. One with several devices has as many connections, and is one guest all the same."""
    found: Dict[Tuple[str, str, Optional[int]], List[Any]] = {}
    for client in clients:
        since = client.waiting_since
        waiting = None if since is None else max(clock - since, 0.0)
        key = (client.guest, client.class_name, client.pid)
        row = found.get(key)
        if row is None:
            found[key] = [*key, client.uid, client.bytes, client.requests, client.waits, waiting]
        else:
            row[4] += client.bytes
            row[5] += client.requests
            row[6] += client.waits
            if waiting is not None:
                row[7] = max(waiting, row[7] or 0.0)
    return found.values()


def _rank(row: Sequence[Any]) -> Tuple[float, int]:
    return (0.0 if row[7] is None else -1.0 - row[7], -row[4])


def _shown(row: Sequence[Any]) -> Document:
    guest, class_name, pid, uid, given, requests, waits, waiting = row
    return {
        "guest": printable(guest, _NAME_LIMIT),
        "class": class_name,
        "pid": pid,
        "uid": uid,
        "bytes": given,
        "requests": requests,
        "waits": waits,
        "waiting": None if waiting is None else round(waiting, 3),
    }


def _source(source: Mapping[str, Any]) -> Document:
    why = source.get("why")
    return {
        "source": printable(str(source["source"]), _PATH_LIMIT),
        "state": source["state"],
        "why": printable(str(why), _WHY_LIMIT) if why else None,
        "bytes": source.get("bytes", 0),
        "failures": source.get("failures", 0),
    }


def _class(one: ClassState) -> Document:
    return {
        "name": one.name,
        "parent": one.parent,
        "rate": one.rate,
        "ceil": one.ceil,
        "burst": one.burst,
        "priority": one.priority,
        "clients": one.clients,
        "waiting": one.waiting,
        "bytes": one.bytes,
        "requests": one.requests,
        "waits": one.waits,
        "borrowed": one.borrowed,
        "sockets": list(one.sockets),
    }


def encoded(status: Mapping[str, Any], limit: int = 0) -> str:
    """The document as JSON, and a newline. With a ``limit`` in bytes guests are left out until it fits, the last ones
    first, and then the lists of sockets; ``guests_total`` stays what it is."""
    text = _json(status)
    if not limit or len(text.encode("utf-8")) <= limit:
        return text
    shorter = dict(status)
    while shorter["guests"]:
        shorter["guests"] = shorter["guests"][: len(shorter["guests"]) * 3 // 4]
        text = _json(shorter)
        if len(text.encode("utf-8")) <= limit:
            return text
    shorter["classes"] = [{**one, "sockets": []} for one in shorter["classes"]]
    return _json(shorter)


def _json(status: Mapping[str, Any]) -> str:
    return json.dumps(status, ensure_ascii=False, separators=(",", ":")) + "\n"


# OpenMetrics ----------------------------------------------------------------------------------------------------------

# name, help, unit, whether it is a counter
_FAMILIES = (
    ("info", "The daemon's version; always 1.", "", False),
    ("start_time_seconds", "When the daemon was started, in Unix time; a restart in place does not change it.",
     "seconds", False),
    ("last_update_timestamp_seconds", "When these samples were taken, in Unix time.", "seconds", False),
    ("restarts", "Restarts in place, which keep all connections.", "", True),
    ("rate_bytes_per_second", "What the whole host may draw; +Inf without a limit.", "bytes_per_second", False),
    ("clients", "Connections of guests.", "", False),
    ("refused", "Connections that were refused: there were too many.", "", True),
    ("protocol_errors", "Connections that were closed for what they sent.", "", True),
    ("source_up", "Whether the source is sound: it serves, or could.", "", False),
    ("source_serving", "Whether guests get the bytes of this source now.", "", False),
    ("source_state", "The state of the source: 1 for the one that it is in.", "", False),
    ("source_bytes", "Bytes that came from the source.", "bytes", True),
    ("source_failures", "How often the source was cut off.", "", True),
    ("class_rate_bytes_per_second", "What the class is guaranteed.", "bytes_per_second", False),
    ("class_ceiling_bytes_per_second", "What the class may get at most; +Inf without a limit.",
     "bytes_per_second", False),
    ("class_clients", "Connections of guests directly in the class.", "", False),
    ("class_waiting", "Guests directly in the class with a request that waits.", "", False),
    ("class_bytes", "Bytes that the guests of the class got.", "bytes", True),
    ("class_borrowed_bytes", "Bytes that the class got beyond its rate, from what others left unused.", "bytes", True),
    ("class_requests", "Requests of the class that were served.", "", True),
    ("class_waits", "Requests of the class that could not be served at once.", "", True),
    ("guests_unlisted", "Guests that have no samples of their own: too many of them.", "", False),
    ("guest_bytes", "Bytes that the guest got since it connected.", "bytes", True),
    ("guest_requests", "Requests of the guest that were served since it connected.", "", True),
    ("guest_waits", "Requests of the guest that could not be served at once.", "", True),
    ("guest_waiting_seconds", "How long the guest's oldest request has waited; 0: none waits.", "seconds", False),
)  # fmt: skip


def openmetrics(status: Mapping[str, Any]) -> str:
    """The document as OpenMetrics text, which a textfile collector takes too."""
    # Imported when it is wanted: it would hold up guests while the daemon starts again.
    from ..metrics import Family, exposition

    families = [Family(name, text, unit, "counter" if counts else "gauge") for name, text, unit, counts in _FAMILIES]
    return exposition(PREFIX, families, _samples(status))


def _samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    yield "info", (("version", str(status["version"])),), 1
    yield "start_time_seconds", (), status["started"]
    yield "last_update_timestamp_seconds", (), status["updated"]
    yield "rate_bytes_per_second", (), _limit(status["rate"])
    for name in ("restarts", "clients", "refused", "protocol_errors"):
        yield name, (), status[name]
    for source in status["sources"]:
        labels: Labels = (("source", source["source"]),)
        yield "source_up", labels, float(source["state"] in SOUND)
        yield "source_serving", labels, float(source["state"] == SERVING)
        for state in STATES:
            yield "source_state", labels + (("state", state),), float(source["state"] == state)
        yield "source_bytes", labels, source["bytes"]
        yield "source_failures", labels, source["failures"]
    for one in status["classes"]:
        labels = (("class", one["name"]), ("parent", one["parent"] or ""))
        yield "class_rate_bytes_per_second", labels, one["rate"]
        yield "class_ceiling_bytes_per_second", labels, _limit(one["ceil"])
        yield "class_borrowed_bytes", labels, one["borrowed"]
        for name in ("clients", "waiting", "bytes", "requests", "waits"):
            yield "class_" + name, labels, one[name]
    yield "guests_unlisted", (), status["guests_total"] - len(status["guests"])
    yield from _guest_samples(status["guests"])


def _guest_samples(guests: Iterable[Mapping[str, Any]]) -> Iterator[Sample]:
    """By name and not by process, so that a guest that was started again goes on in the same series."""
    sums: Dict[Labels, List[float]] = {}
    for guest in guests:
        row = sums.setdefault((("guest", guest["guest"]), ("class", guest["class"])), [0, 0, 0, 0])
        for number, name in enumerate(("bytes", "requests", "waits")):
            row[number] += guest[name]
        row[3] = max(row[3], guest["waiting"] or 0)
    for labels, (given, requests, waits, waiting) in sums.items():
        yield "guest_bytes", labels, given
        yield "guest_requests", labels, requests
        yield "guest_waits", labels, waits
        yield "guest_waiting_seconds", labels, waiting


def _limit(value: Optional[int]) -> float:
    return float("inf") if value is None else value
