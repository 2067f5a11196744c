# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon says aloud: one JSON object per line, on standard error.

Saying something must never hurt the clients: a full disk or a pipe that nobody reads costs lines and no time. Lines
that got lost are counted, and the next one that arrives says how many. One kind of message cannot drown the others.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..text import printable

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6  # as syslog numbers them
NAMES = {ERROR: "error", WARNING: "warning", NOTICE: "notice", INFO: "info"}

LINE = 4096  # bytes; a pipe that is ready takes as many at once (PIPE_BUF)
VALUE = 200  # characters
ITEMS = 20  # of a list or an object

BURST = 10  # lines of a kind in WINDOW; what comes above is counted
WINDOW = 10.0  # seconds
KINDS = 200  # that are told apart; no more memory than that

_DEPTH = 3
_WIDEST = 2**64


class _Kind:
    """How often one kind of message was said lately."""

    __slots__ = ("left_out", "said", "since")

    def __init__(self, now: float) -> None:
        self.since = now
        self.said = 0
        self.left_out = 0


class Log:
    """Writes lines to a descriptor that others may share: its flags stay as they are.

    :param environ: JOURNAL_STREAM tells whether the descriptor leads to the journal, which wants a priority per line.
    :param clock: monotonic, for the limit; ``wall`` gives the time in the lines.
    """

    def __init__(
        self,
        stream_fd: int = 2,
        environ: Optional[Mapping[str, str]] = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.lost = 0  # lines that could not be written
        self._fd = stream_fd
        self._clock = clock
        self._wall = wall
        self._journal = _is_journal(stream_fd, (os.environ if environ is None else environ).get("JOURNAL_STREAM", ""))
        self._kinds: Dict[Tuple[int, str], _Kind] = {}
        self._unsaid = 0  # lost lines that no line has told yet
        self._torn = False  # the last line is there in part only
        self._ready = select.poll()
        self._ready.register(stream_fd, select.POLLOUT)

    def info(self, event: str, **fields: Any) -> None:
        """What is good to know when one looks back."""
        self._say(INFO, event, fields)

    def notice(self, event: str, **fields: Any) -> None:
        """What is normal, and rare enough to be worth a look."""
        self._say(NOTICE, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What somebody should look at; the guests are served."""
        self._say(WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """What keeps guests from being served as they should be."""
        self._say(ERROR, event, fields)

    def tick(self) -> None:
        """Tell what was left out of kinds that have come to rest; to be called now and then."""
        now = self._clock()
        for (level, event), kind in list(self._kinds.items()):
            if now - kind.since >= WINDOW:
                del self._kinds[level, event]
                if kind.left_out:
                    self._write(level, event, {"left_out": kind.left_out})

    def _say(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        now = self._clock()
        kind = self._kind(level, event, now)
        left_out = 0
        if now - kind.since >= WINDOW:
            left_out, kind.since, kind.said, kind.left_out = kind.left_out, now, 0, 0
        if kind.said >= BURST:
            kind.left_out += 1
            return
        kind.said += 1
        self._write(level, event, {**fields, "left_out": left_out} if left_out else fields)

    def _kind(self, level: int, event: str, now: float) -> _Kind:
        key = (level, event)
        if key not in self._kinds and len(self._kinds) >= KINDS:
            self.tick()
            if len(self._kinds) >= KINDS:
                key = (level, "other messages")
        return self._kinds.setdefault(key, _Kind(now))

    def _write(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        prefix = f"<{level}>" if self._journal else ""
        head: Dict[str, Any] = {"time": _stamp(self._wall()), "level": NAMES[level], "event": printable(event, VALUE)}
        if self._unsaid:
            head["lost"] = self._unsaid
        told = self._unsaid
        data = (prefix + _line(head, fields, LINE - len(prefix) - 2) + "\n").encode()
        if self._send(b"\n" + data if self._torn else data):
            self._unsaid -= told
        else:
            self.lost += 1
            self._unsaid += 1

    def _send(self, data: bytes) -> bool:
        try:
            # Not ready, or an error: either is no reason to wait. Only POLLOUT promises that write returns at once.
            if not any(events & select.POLLOUT for dummy, events in self._ready.poll(0)):
                return False
            written = os.write(self._fd, data)
        except OSError:
            return False
        if written:
            self._torn = written < len(data)
        return written == len(data)


def _is_journal(fd: int, stream: str) -> bool:
    """Whether this is the stream that systemd connected to the journal, and not another that took its place."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def _stamp(seconds: float) -> str:
    milliseconds = int(seconds * 1000)
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{day}.{milliseconds % 1000:03d}Z"


def _line(head: Dict[str, Any], fields: Mapping[str, Any], limit: int) -> str:
    """One JSON object in ASCII. Where it would be too long the last fields go, and that is said."""
    shown = {}
    for name, value in fields.items():
        key = printable(name, VALUE)
        shown[key + "_" if key in head else key] = _fit(value, _DEPTH)
    text = json.dumps({**head, **shown})
    while len(text) > limit and shown:
        shown.popitem()
        text = json.dumps({**head, **shown, "cut": True})
    return text


def _fit(value: Any, depth: int) -> Any:
    """The value as JSON has it: printable, and of a bounded size."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_WIDEST < value < _WIDEST else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no infinity
    if isinstance(value, str):
        return printable(value, VALUE)
    if isinstance(value, bytes):
        return printable(value[: VALUE + 1].decode("latin-1"), VALUE)
    if isinstance(value, BaseException):
        return printable(_text(value) or type(value).__name__, VALUE)
    if isinstance(value, (list, tuple, set, frozenset, dict)) and depth:
        return _fit_many(value, depth - 1)
    return printable(type(value).__name__, VALUE)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror) + (f": {error.filename}" if error.filename else "")
    return " ".join(part for part in error.args if isinstance(part, str))


def _fit_many(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        pairs = list(value.items())[:ITEMS]
        fit: Dict[str, Any] = {printable(str(_fit(key, 0)), VALUE): _fit(item, depth) for key, item in pairs}
        if len(value) > ITEMS:
            fit["..."] = len(value) - ITEMS
        return fit
    items: List[Any] = [_fit(item, depth) for item in list(value)[:ITEMS]]
    return items + [f"... and {len(value) - ITEMS} more"] if len(value) > ITEMS else items
