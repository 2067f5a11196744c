# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the bytes come from that guests get: the first source of the list that is sound, and what waits of it.

The kernel's own generator never blocks once it is ready, so it is asked where bytes are needed; getrandom, /dev/urandom
and (since Linux 5.6) /dev/random are the same. Every other source has a thread (``reader``). Nothing here blocks.

A source that fails is cut off at once, and with ``fallback`` the next one serves until it is sound again. With ``wait``
only the first source of the list ever serves, and guests wait for it. As long as bytes come, a source is slow, and has
not failed.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

from ..errors import RngError
from ..health import NOT_RUN
from .config import SourceConfig
from .device import FAILED, SOUND, STARTING, is_kernel, kernel_random
from .leftover import Left, parse, render
from .reader import Reader, Timing

SERVING, STANDBY = "serving", "standby"
WAIT = "wait"
PLENTY = 1 << 20  # what can always be had of the kernel: more than all clients can ask for at once
_SOON = 0.1  # seconds between two looks whether the kernel's generator is ready
_CHUNK = 4096  # bytes of the kernel's generator that are fetched at a time

_NOT_TESTED = {"repetition_count": NOT_RUN, "adaptive_proportion": NOT_RUN}


@dataclass(frozen=True)
class Event:
    """What has to be said aloud. ``kind``: "serving" (good news), "cut off", or "waiting" (no source is left)."""

    kind: str
    source: str  # empty when it is about all of them
    message: str


class _Source:
    """What the pool knows of one source."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reader: Optional[Reader] = None  # None: the kernel's generator
        self.state = STARTING
        self.why = "has not given a byte yet"
        self.buffer = b""  # while it does not serve
        self.received = 0  # bytes that its reader has handed over
        self.bytes = 0  # that were handed out or still wait
        self.failures = 0


class Pool:
    """The bytes that can be handed out. ``available`` is how many take() can give now."""

    def __init__(
        self,
        sources: Sequence[SourceConfig],
        when_failing: str = "fallback",
        conditioning: bool = True,
        leftover: bytes = b"",
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        self.available = 0
        self._ready = b""
        self._at = 0
        self._mark = (
            0  # where taking bytes has to stop for something: the end, or before where the reader has room again
        )
        self._serving: Optional[_Source] = None
        self._reader: Optional[Reader] = None  # of the one that serves
        self._received = 0  # bytes that this reader has handed over
        self._events: List[Event] = []
        self._said_waiting = False
        self._timing = timing
        self._news = False  # a thread has something to tell
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        inherited = parse(leftover)
        self._sources = [_Source(one.source) for one in sources]
        self._used = self._sources[:1] if when_failing == WAIT else self._sources
        for source, one in zip(self._sources, sources):
            before = inherited.get(source.name, Left())
            source.bytes, source.failures = before.count, before.failures
            if source not in self._used:
                source.state, source.why = STANDBY, "guests wait for the first source of the list instead"
            elif one.tests == "none" and is_kernel(source.name):
                source.why = "the kernel's generator is not ready yet"
            else:
                if before.proven:
                    source.state, source.why, source.buffer = SOUND, "", before.waiting
                    source.received = len(before.waiting)
                    source.bytes += source.received
                tests = one.tests != "none"
                source.reader = Reader(source.name, tests, conditioning, before.proven, self._post, timing)
                source.reader.given = source.received
        self._choose()
        readers = [source.reader for source in self._sources if source.reader]
        for reader in readers:
            reader.start()
        # Seen here, not by the thread: the kernel's generator may be ready before that has begun.
        early = any(source.reader is None and source.state == STARTING for source in self._used)
        if readers or early:
            threading.Thread(target=self._look_after, args=(readers, early), name="look", daemon=True).start()

    # The hot path

    def take(self, size: int) -> bytes:
        """Exactly so many bytes, which nobody else gets; not more than ``available``."""
        at = self._at
        end = at + size
        if end > self._mark:
            return self._pass_mark(size)
        self._at = end
        self.available -= size
        return self._ready[at:end]

    def give_back(self, size: int) -> None:
        """The last so many bytes reached nobody: somebody else gets them. Only right after they were taken."""
        self._at -= size
        self.available += size

    def _pass_mark(self, size: int) -> bytes:
        source = self._serving
        if source is not None and source.reader is None:
            self._fetch(source, size)
        elif size > self.available:
            raise RngError(f"{size} bytes were taken where {self.available} are available")
        else:
            self._at += size
            self.available -= size
            data = self._ready[self._at - size : self._at]
            self._let_read()
            return data
        return self.take(size)

    def _fetch(self, source: _Source, size: int) -> None:
        fresh = kernel_random(max(size, _CHUNK))
        if fresh is None:  # it has been ready before, and that does not end
            raise RngError("the kernel's generator is not ready any more")
        source.bytes += len(fresh)
        self._hold(self._ready[self._at :] + fresh)

    def refill(self) -> None:
        """Once in every pass: forget what was handed out."""
        if self._news:
            self._collect()
        if self._at:
            self._hold(self._ready[self._at :])

    def _hold(self, data: bytes) -> None:
        self._ready, self._at, self._mark = data, 0, len(data)
        self.available = PLENTY if self._reader is None and self._serving is not None else len(data)
        self._let_read()

    def _let_read(self) -> None:
        """Tell the reader how much has been taken, and put the mark where that has to be told again."""
        reader = self._reader
        if reader is None:
            return
        reader.taken = self._received - self.available
        enough = reader.ahead // 2
        if reader.full and reader.given - reader.taken <= enough:
            reader.more()
        self._mark = len(self._ready)
        if self.available > enough:
            self._mark -= enough

    # Everything else

    def fileno(self) -> int:
        """Readable when wake() has something to do."""
        return self._wake_read

    def wake(self) -> List[Event]:
        """Take over what the readers brought, and return what has to be said aloud."""
        try:
            while os.read(self._wake_read, 512):
                pass
        except BlockingIOError:
            pass
        self._collect()
        events, self._events = self._events, []
        return events

    def status(self) -> List[Dict[str, Any]]:
        """Of each source: source, state, why, bytes handed out, failures, health."""
        return [
            {
                "source": source.name,
                "state": self._state(source),
                "why": source.why or None,
                "bytes": source.bytes - self._held(source),
                "failures": source.failures,
                "health": source.reader.health.results()
                if source.reader and source.reader.health
                else dict(_NOT_TESTED),
            }
            for source in self._sources
        ]

    def leftover(self) -> bytes:
        """What a Pool of the program that replaces this one begins with: bytes of sound slow sources, and counters."""
        self._collect()
        left = {}
        for source in self._sources:
            proven = source.state == SOUND and source.reader is not None
            waiting = self._ready[self._at :] if source is self._serving else source.buffer
            handed_out = source.bytes - self._held(source)
            left[source.name] = Left(handed_out, source.failures, proven, waiting if proven else b"")
        return render(left)

    def retry(self) -> None:
        """Try all sources that are cut off again now, also those that failed too often."""
        for source in self._used:
            if source.reader is not None:
                source.reader.retry()

    def close(self) -> None:
        """End the threads. One that hangs in a read ends when that comes back, or with the process."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            os.close(self._wake_read)
            os.close(self._wake_write)
        for source in self._sources:
            if source.reader is not None:
                source.reader.stop()
        self._serving = self._reader = None
        self._hold(b"")

    def _state(self, source: _Source) -> str:
        if source.state != SOUND:
            return source.state
        return SERVING if source is self._serving else STANDBY

    def _held(self, source: _Source) -> int:
        """Bytes of it that wait."""
        return len(self._ready) - self._at if source is self._serving else len(source.buffer)

    def _post(self) -> None:
        """Called by threads: there is something to collect."""
        with self._lock:
            if not self._closed.is_set() and not self._news:
                self._news = True
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    pass  # enough was said

    def _look_after(self, readers: List[Reader], early: bool) -> None:
        """A thread: notice reads that do not come back, and the end of ``early``: the kernel's generator is ready."""
        while not self._closed.wait(_SOON if early else self._timing.look):
            if early and kernel_random(1) is not None:
                early = False
                self._post()
            if not early and not readers:
                return
            now = time.monotonic()
            for reader in readers:
                reader.look(now)

    def _collect(self) -> None:
        """Take over what happened, in its order, and let the best source serve."""
        self._news = False
        for source in self._used:
            if source.reader is not None:
                self._take_over(source, source.reader)
        self._choose()

    def _take_over(self, source: _Source, reader: Reader) -> None:
        blocks: List[bytes] = []
        while reader.messages:
            state, why, data = reader.messages.popleft()
            source.received += len(data)
            if data:
                blocks.append(data)
            if state == FAILED:  # nothing that came shortly before can be trusted
                blocks = []
                self._throw_away(source)
            if state not in (SOUND, STARTING) and (state, why) != (source.state, source.why):
                source.failures += 1
                self._events.append(Event("cut off", source.name, f"{state}: {why}"))
            source.state, source.why = state, why
        new = b"".join(blocks)
        source.bytes += len(new)
        if source is self._serving:
            self._received = source.received
            self._hold(self._ready[self._at :] + new)
        else:
            source.buffer += new
            reader.taken = source.received - len(source.buffer)

    def _throw_away(self, source: _Source) -> None:
        source.bytes -= self._held(source)
        source.buffer = b""
        if source is self._serving:
            self._hold(b"")

    def _choose(self) -> None:
        """The first sound source of the list serves."""
        for source in self._used:
            if source.reader is None and source.state == STARTING and kernel_random(1) is not None:
                source.state, source.why = SOUND, ""
        best = next((source for source in self._used if source.state == SOUND), None)
        old = self._serving
        if best is not old:
            if old is not None and old.reader is not None:
                old.buffer = self._ready[self._at :]
            elif old is not None:
                self._throw_away(old)
            self._serving, self._reader = best, best.reader if best else None
            self._received = best.received if best else 0
            self._hold(best.buffer if best else b"")
            if best:
                best.buffer = b""
                self._events.append(Event("serving", best.name, "serves the guests now"))
        if best:
            self._said_waiting = False
        elif not self._said_waiting and all(source.state != STARTING for source in self._used):
            self._said_waiting = True
            self._events.append(Event("waiting", "", "no source is sound: guests wait"))
