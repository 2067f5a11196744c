# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document as people read it: a table, and the frames of a live view. Pure: text in a given size."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .cells import AS_TEXT, BAD, EXTRA, FAINT, GOOD, PLAIN, TITLE, Line, Span, Style, amount, drawn, duration, fitted
from .status import SERVING, SOUND, STANDBY

Status = Mapping[str, Any]
_MIN_GUESTS = 5  # lines of a frame that guests have, however many classes there are
_MOST_SOURCES = 4
_LONG = 1000
_STUCK = 5.0  # seconds of waiting that bring a guest to the top
_BAR = 17
_NOTHING = "-"
_SAID = {
    SERVING: "serves",
    STANDBY: "stands by",
    "starting": "is being tested",
    "stalled": "gives nothing now",
    "failed": "failed",
    "missing": "is missing",
}


def table(status: Status, width: int, style: Style = AS_TEXT) -> str:
    """Everything of a status document, for one look."""
    # What is said in words may be longer than a line, and is not cut.
    head = [_title(status), _host(status), [], *_sources(status, None, len(status["sources"]))]
    lines: List[Line] = [[], *_class_table(status, width), [], *_guest_table(status, width)]
    return drawn(head, _LONG, style) + drawn(lines, width, style)


def frame(previous: Optional[Status], current: Status, width: int, height: int, style: Style = AS_TEXT) -> str:
    """What happened between two documents, in at most ``height`` lines; 0: as many as it takes."""
    past = Past(previous, current)
    lines: List[Line] = [_title(current, time.strftime("%H:%M:%S", time.localtime(current["updated"])), width)]
    lines += [_load(past, current, width, style), *_sources(current, past, _MOST_SOURCES), []]
    classes = _class_rows(past, current, width, style)
    guests = _guest_rows(past, current, width)
    # Two headings, two empty lines and the legend are still to come.
    room = max(height - len(lines) - 5, 2) if height else len(classes) + len(guests) + 2
    most = max(room - min(len(guests), _MIN_GUESTS), 1) if height else room
    classes = _cut(classes, most, "classes", len(classes))
    guests = _cut(guests, max(room - len(classes), 1), "guests", current["guests_total"])
    lines += [_class_heading(width), *(line for dummy, line in classes), []]
    lines += [_guest_heading(width), *(line for dummy, line in guests)]
    if height:
        lines += [[]] * max(height - len(lines) - 1, 0)
        lines = lines[: height - 1]
    else:
        lines.append([])
    within, borrowed, left = style.signs
    lines.append([(f"{within} within its rate  {borrowed} borrowed  {left} left of its limit", FAINT)])
    return drawn(lines, width, style)


class Past:
    """What changed since an earlier document; nothing is known when that is of another process."""

    def __init__(self, previous: Optional[Status], current: Status) -> None:
        same = previous is not None and (previous["pid"], previous["started"]) == (current["pid"], current["started"])
        before: Status = previous if previous is not None and same else {"classes": (), "guests": (), "sources": ()}
        self.seconds: float = max(current["updated"] - before["updated"], 0.0) if "updated" in before else 0.0
        self.classes = {one["name"]: one for one in before["classes"]}
        self.guests = {guest_key(one): one for one in before["guests"]}
        self.sources = {one["source"]: one for one in before["sources"]}

    def rate(self, before: Optional[Status], after: Status, counter: str = "bytes") -> Optional[float]:
        """By how much a counter grew, per second; None where that cannot be told."""
        if before is None or not self.seconds or after[counter] < before[counter]:
            return None
        return float(after[counter] - before[counter]) / self.seconds


def guest_key(guest: Status) -> Tuple[str, str, Optional[int]]:
    return guest["guest"], guest["class"], guest["pid"]


# The head ------------------------------------------------------------------------------------------------------------


def _title(status: Status, clock: str = "", width: int = 0) -> Line:
    restarts = status["restarts"]
    parts = [
        f"virtrngd {status['version']}",
        f"pid {status['pid']}",
        f"up {duration(status['updated'] - status['started'])}",
        f"{restarts} restart{'s' * (restarts != 1)} in place",
    ]
    text = "   ".join(parts)
    return [(text + " " * (width - len(text) - len(clock)) + clock, TITLE if width else PLAIN)]


def _host(status: Status) -> Line:
    waiting = sum(one["waiting"] for one in status["classes"])
    limit = f"may draw {amount(status['rate'])}/s" if status["rate"] is not None else "has no limit"
    line = [(f"The host {limit}; {status['clients']} clients, ", PLAIN), _waiting(f"{waiting} waiting", waiting)]
    for text, count in (
        ("connections refused", status["refused"]),
        ("protocol errors", status["protocol_errors"]),
    ):
        if count:
            line += [("; ", PLAIN), (f"{count} {text}", EXTRA)]
    return line


def _load(past: Past, status: Status, width: int, style: Style) -> Line:
    """The host as a whole."""
    tops = [one for one in status["classes"] if one["parent"] is None]
    rates = [rate for rate in (past.rate(past.classes.get(one["name"]), one) for one in tops) if rate is not None]
    now = sum(rates) if rates else None
    waiting = sum(one["waiting"] for one in status["classes"])
    of = f" of {amount(status['rate'])}/s" if status["rate"] is not None else "/s, no limit"
    said = f"  {_amount(now)}{of}   {status['clients']} clients, "
    line: Line = [("host  ", PLAIN)]
    if status["rate"] is not None:
        room = max(width - len("host  ") - len(said) - len("9999 waiting"), 10)
        line += _bar(now, status["rate"], status["rate"], min(room, 40), style)
    else:
        said = said.lstrip()
    return [*line, (said, PLAIN), _waiting(f"{waiting} waiting", waiting)]


def _sources(status: Status, past: Optional[Past], most: int) -> List[Line]:
    lines = []
    for source in status["sources"]:
        state = source["state"]
        text = f"{source['source']} {_SAID.get(state, state)}"
        if source["why"]:
            text += f": {source['why']}"
        if past is None:
            text += f"; {amount(source['bytes'])} so far"
        elif state == SERVING:
            now = past.rate(past.sources.get(source["source"]), source)
            text += "" if now is None else f", {amount(now)}/s"
        if source["failures"]:
            text += f"; cut off {_times(source['failures'])}"
        lines.append([("source  " if past is None else "from  ", PLAIN), (text, _health(state))])
    if not any(source["state"] == SERVING for source in status["sources"]):
        lines.insert(0, [("No source serves: whoever asks now has to wait.", BAD)])
    if len(lines) > most + 1:
        lines[most:] = [[(f"      and {len(lines) - most} more sources", FAINT)]]
    return lines


def _health(state: str) -> str:
    if state == SERVING:
        return GOOD
    return FAINT if state in SOUND else EXTRA if state == "starting" else BAD


# Tables --------------------------------------------------------------------------------------------------------------


def _class_table(status: Status, width: int) -> List[Line]:
    name = _flexible(width, 63)
    heading = f"{'CLASS':<{name}}{'RATE/s':>10}{'LIMIT/s':>10}{'BYTES':>10}{'BORROWED':>10}{'CLIENTS':>8}{'WAITING':>8}"
    lines: List[Line] = [[(heading, TITLE)]]
    clients, waiting = _below(status["classes"], "clients"), _below(status["classes"], "waiting")
    for depth, one in _in_order(status["classes"]):
        text = f"{amount(one['rate']):>10}{_limit(one['ceil']):>10}{amount(one['bytes']):>10}"
        text += f"{amount(one['borrowed']):>10}{clients[one['name']]:>8}"
        line = [(fitted("  " * depth + one["name"], name) + text, PLAIN)]
        lines.append([*line, _waiting(f"{waiting[one['name']]:>8}", waiting[one["name"]])])
    return lines


def _guest_table(status: Status, width: int) -> List[Line]:
    name = _flexible(width, 62)
    heading = f"{'GUEST':<{name}} {'CLASS':<16}{'PID':>8}{'BYTES':>10}{'REQUESTS':>10}{'WAITS':>8}{'WAITING':>9}"
    lines: List[Line] = [[(heading, TITLE)]]
    for one in status["guests"]:
        pid = _NOTHING if one["pid"] is None else str(one["pid"])
        text = f"{pid:>8}{amount(one['bytes']):>10}{one['requests']:>10}{one['waits']:>8}"
        line = [(fitted(one["guest"], name) + " " + fitted(one["class"], 16) + text, PLAIN)]
        lines.append([*line, _waiting_since(one["waiting"])])
    return _with_rest(lines, status)


def _with_rest(lines: List[Line], status: Status) -> List[Line]:
    rest = status["guests_total"] - len(status["guests"])
    if not status["guests_total"]:
        lines.append([("no guest is connected", FAINT)])
    elif rest > 0:
        lines.append([(f"and {rest} more guests", FAINT)])
    return lines


# Rows of a frame, each with how much it matters when there is not room for all ----------------------------------------

Row = Tuple[Tuple[float, ...], Line]


def _class_heading(width: int) -> Line:
    name = _flexible(width, 65)
    return [
        (f"{'CLASS':<{name}}{'NOW/s':>9}{'RATE/s':>9}{'LIMIT/s':>10} {'':<{_BAR}}{'BORROWED':>11}{'WAITING':>8}", TITLE)
    ]


def _class_rows(past: Past, status: Status, width: int, style: Style) -> List[Row]:
    known = {one["name"]: one for one in status["classes"]}
    waiting = _below(status["classes"], "waiting")
    name = _flexible(width, 65)
    rows: List[Row] = []
    for depth, one in _in_order(status["classes"]):
        before = past.classes.get(one["name"])
        now = past.rate(before, one)
        borrowed = past.rate(before, one, "borrowed")
        limit = _scale(one, known, status["rate"])
        line = [(fitted("  " * depth + one["name"], name), PLAIN)]
        line.append((f"{_amount(now):>9}{amount(one['rate']):>9}{_limit(limit):>10} ", PLAIN))
        line += _bar(now, one["rate"], limit, _BAR, style)
        line.append((f"{_amount(borrowed) if borrowed else _NOTHING:>11}", EXTRA if borrowed else FAINT))
        waits = waiting[one["name"]]
        line.append(_waiting(f"{waits:>8}", waits))
        rows.append(((float(waits), now or 0.0), line))
    return rows


def _guest_heading(width: int) -> Line:
    name = _flexible(width, 61)
    return [(f"{'GUEST':<{name}}{'NOW/s':>9} {'CLASS':<16}{'TOTAL':>10}{'REQ/s':>7}{'WAITED':>8}{'WAITING':>9}", TITLE)]


def _guest_rows(past: Past, status: Status, width: int) -> List[Row]:
    name = _flexible(width, 61)
    rows: List[Row] = []
    for one in status["guests"]:
        before = past.guests.get(guest_key(one))
        now = past.rate(before, one)
        requests = past.rate(before, one, "requests")
        shown = _NOTHING if requests is None else f"{requests:.0f}"
        line = [(f"{fitted(one['guest'], name)}{_amount(now):>9} {fitted(one['class'], 16)}", PLAIN)]
        line.append((f"{amount(one['bytes']):>10}{shown:>7}{_share(past, before, one):>8}", PLAIN))
        line.append(_waiting_since(one["waiting"]))
        waiting = one["waiting"] or 0.0
        rows.append(((waiting if waiting >= _STUCK else 0.0, now or 0.0, waiting), line))
    rows.sort(key=lambda row: row[0], reverse=True)
    return rows


def _share(past: Past, before: Optional[Status], one: Status) -> str:
    """How many of the requests had to wait, as a percentage."""
    waits, requests = past.rate(before, one, "waits"), past.rate(before, one, "requests")
    return f"{min(100 * waits / requests, 100):.0f} %" if waits is not None and requests else _NOTHING


def _cut(rows: List[Row], most: int, what: str, total: int) -> List[Row]:
    """Without those that matter least, in the order they were; how many of all are not shown is said."""
    if not total:
        return [((), [(f"no {what}", FAINT)])]
    if len(rows) > most or len(rows) < total:
        matter = sorted(range(len(rows)), key=lambda number: rows[number][0], reverse=True)[: most - 1]
        rows = [rows[number] for number in sorted(matter)]
        rows.append(((), [(f"and {total - len(rows)} more {what}", FAINT)]))
    return rows


# Parts ---------------------------------------------------------------------------------------------------------------


def _in_order(classes: Sequence[Status]) -> List[Tuple[int, Status]]:
    """Each class below its parent, with its depth."""
    names = {one["name"] for one in classes}
    children: Dict[Optional[str], List[Status]] = {}
    for one in classes:
        children.setdefault(one["parent"] if one["parent"] in names else None, []).append(one)
    found: List[Tuple[int, Status]] = []
    left = [(0, one) for one in reversed(children.get(None, []))]
    while left:
        depth, one = left.pop()
        found.append((depth, one))
        left += [(depth + 1, child) for child in reversed(children.pop(one["name"], []))]
    return found


def _below(classes: Sequence[Status], counter: str) -> Dict[str, int]:
    """Per class the sum of what is counted where guests are: in it and in all classes below it."""
    sums = {one["name"]: 0 for one in classes}
    parents = {one["name"]: one["parent"] for one in classes}
    for one in classes:
        step: Optional[str] = one["name"]
        for dummy in classes:
            if step not in sums:
                break
            sums[step] += one[counter]
            step = parents[step]
    return sums


def _scale(one: Status, known: Mapping[str, Status], rate: Optional[int]) -> Optional[int]:
    """What a class can get at most: its own ceiling, those above it, or the host's rate; None: anything."""
    limits = [] if rate is None else [rate]
    step: Optional[Status] = one
    for dummy in known:
        if step is None:
            break
        if step["ceil"] is not None:
            limits.append(step["ceil"])
        step = known.get(step["parent"] or "")
    return min(limits) if limits else None


def _bar(now: Optional[float], rate: int, limit: Optional[int], width: int, style: Style) -> Line:
    """How much of its limit is used: up to its rate, and what is borrowed. Without a limit there is nothing to fill."""
    within, borrowed, left = style.signs
    if now is None or not limit:
        return [((left if limit else " ") * width, FAINT)]
    used = min(max(round(now * width / limit), 1 if now else 0), width)
    own = min(used, max(round(min(now, rate) * width / limit), 1 if now else 0))
    return [(within * own, GOOD), (borrowed * (used - own), EXTRA), (left * (width - used), FAINT)]


def _waiting(text: str, count: int) -> Span:
    return (text, EXTRA if count else FAINT)


def _waiting_since(seconds: Optional[float]) -> Span:
    """A moment is what every limit costs; more than that is trouble."""
    if seconds is None:
        return (f"{_NOTHING:>9}", FAINT)
    return (f"{duration(seconds, 1):>9}", BAD if seconds >= _STUCK else PLAIN)


def _limit(value: Optional[int]) -> str:
    return "none" if value is None else amount(value)


def _amount(value: Optional[float]) -> str:
    return _NOTHING if value is None else amount(value)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _flexible(width: int, others: int) -> int:
    """What the columns beside it leave for a name."""
    return max(min(width - others, 60), 12)
