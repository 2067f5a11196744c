# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that reads one slow source: it opens the device, tests and mixes its bytes, and hands them over.

It may hang in a read for ever, as reads of /dev/hwrng cannot be polled. So it holds nothing that others need, is never
waited for, and tells the pool what happened through a queue. Bytes of a source are never part of a message.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Optional, Tuple

from .continuous import CLAIM, HealthTests, claim
from .device import (
    FAILED,
    HWRNG,
    KERNEL_RANDOM,
    SOUND,
    STALLED,
    STARTING,
    CutOffError,
    explained,
    kernel_random,
    number_of,
    open_device,
    word,
)

LEAST, MOST = 32, 16384  # bytes of one read: few, as the kernel blocks until all of them are there
QUICK = 0.01  # seconds: then the next read may be larger
AHEAD, MOST_AHEAD = 4096, 65536  # bytes that wait to be handed out


@dataclass(frozen=True)
class Timing:
    """Seconds, and how often a source may fail its health tests within ``within`` before it stays cut off."""

    stalled: float = 10.0  # without a byte
    retry: float = 3.0  # a device that is missing, ended or cannot be read
    failed: float = 60.0  # a source that failed a health test
    failures: int = 3
    within: float = 3600.0
    look: float = 1.0  # between two looks at what nobody tells: stalled reads, another hardware RNG


# What a reader tells: a state, why, and bytes that may be handed out (of a sound source only).
Message = Tuple[str, str, bytes]


def mix(data: bytes, other: bytes) -> bytes:
    """Both by XOR, so that the result is as good as the better one."""
    number = int.from_bytes(data, "little") ^ int.from_bytes(other, "little")
    return number.to_bytes(len(data), "little")


class Reader:
    """One source that is read by a thread, from start() until stop().

    :param path: of the device; ``getrandom`` is read without one.
    :param tests: whether the health tests are made.
    :param conditioning: whether bytes of the kernel's generator are mixed in.
    :param proven: the start-up test passed in the program that this one has replaced.
    :param post: called by the thread when there is something in ``messages``.
    """

    def __init__(
        self, path: str, tests: bool, conditioning: bool, proven: bool, post: Callable[[], None], timing: Timing
    ) -> None:
        self.path = path
        self.messages: Deque[Message] = deque()
        self.ahead = AHEAD  # bytes that may wait
        self.given = 0  # bytes handed over; only the thread writes it
        self.taken = 0  # of them, bytes that no longer wait; only the pool writes it
        self.full = False  # it waits for room
        self.health: Optional[HealthTests] = None
        self._tests = tests
        self._conditioning = conditioning
        self._proven = proven
        self._post = post
        self._timing = timing
        self._lock = threading.Condition()
        self._since: Optional[float] = None  # when the read began that has not come back
        self._stalled = False
        self._stopping = False
        self._retry = False
        self._failures: Deque[float] = deque()
        self._current = ""  # the kernel's hardware RNG
        self._looked = 0.0
        self._ended, self._end = os.pipe()  # closed by stop(), so it wakes whatever waits
        self._thread = threading.Thread(target=self._run, name=f"read {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, at once unless it hangs in a read; then as soon as that comes back, or with the process."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            self._lock.notify()
            os.close(self._end)

    def join(self, seconds: float) -> bool:
        """Whether the thread has ended within that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def more(self) -> None:
        """Bytes were taken: there may be room again."""
        with self._lock:
            self._lock.notify()

    def retry(self) -> None:
        """Forget that it was cut off, and how often: try again now."""
        with self._lock:
            self._failures.clear()
            self._retry = True
            self._lock.notify()

    def look(self, now: float) -> None:
        """Say so if a read has not come back for too long."""
        with self._lock:
            if self._since is None or self._stalled or now - self._since < self._timing.stalled:
                return
            self._stalled = True
            self._say(STALLED, f"not a byte came in {self._timing.stalled:g} s")

    def _say(self, state: str, why: str, data: bytes = b"") -> None:
        self.messages.append((state, why, data))
        self._post()

    def _run(self) -> None:
        why = "its reader ended: a fault of this program"
        try:
            while not self._stopping:
                cut = self._serve()
                if cut is not None:
                    self._proven = False
                    self._wait(self._pause(cut))
            why = ""
        finally:
            os.close(self._ended)
            if why:
                self._say(FAILED, why)

    def _serve(self) -> Optional[CutOffError]:
        """Read until something goes wrong; None when it is to stop."""
        try:
            descriptor = -1 if self.path == "getrandom" else open_device(self.path)
            try:
                self._pump(descriptor)
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
        except CutOffError as cut:
            return cut
        except OSError as error:
            return explained(error, self.path)
        return None

    def _pump(self, descriptor: int) -> None:
        hwrng = descriptor >= 0 and number_of(descriptor) == HWRNG
        hardware = descriptor >= 0 and number_of(descriptor) not in KERNEL_RANDOM
        self._current = word("rng_current") if hwrng else ""
        self._begin(hwrng)
        if not hardware:  # before its generator is ready, /dev/urandom gives bytes that can be guessed
            self._kernel(1)
        size = LEAST
        room = self._room()
        while room:
            before = time.monotonic()
            if hwrng and before - self._looked > self._timing.look:
                self._looked = before
                self._notice_another()
            data = self._read(descriptor, min(size, room))
            if data is None:
                return
            if not data:
                raise CutOffError(FAILED, "it ended")
            # Larger blocks as long as they come quickly: a fast source is no bottleneck, a slow one is not read ahead.
            quick = time.monotonic() - before < QUICK
            size = min(2 * size, MOST) if quick else max(size // 2, LEAST)
            self.ahead = min(max(AHEAD, 4 * size), MOST_AHEAD)
            data = self._tested(data)
            if data and self._conditioning and hardware:
                data = self._mixed(data)
            if data:
                self.given += len(data)
                self._say(SOUND, "", data)
            room = self._room()

    def _begin(self, hwrng: bool) -> None:
        """Begin with the start-up test, unless it was passed before the program was replaced."""
        if self._tests:
            entropy = claim(word("rng_quality")) if hwrng else CLAIM
            self.health = HealthTests(entropy, 0) if self._proven else HealthTests(entropy)
        self._proven = False

    def _notice_another(self) -> None:
        """The kernel goes over to another hardware RNG without a word; that one has not been tested."""
        current = word("rng_current")
        if current != self._current and current not in ("", "none"):
            self._current = current
            if self._tests:
                self._say(STARTING, "the kernel reads from another hardware RNG now: its start-up test")
            self._begin(True)

    def _read(self, descriptor: int, size: int) -> Optional[bytes]:
        """Bytes; nothing at the end of the source; None when the reader is to stop."""
        if descriptor < 0:
            return self._kernel(size)
        with self._lock:
            self._since = time.monotonic()
        try:
            # Devices that can be polled are waited for here, where stop() is heard; others say that they are ready.
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.register(self._ended, select.POLLIN)
            poll.poll()
            data = None if self._stopping else os.read(descriptor, size)
        finally:
            with self._lock:
                self._since = None
                stalled, self._stalled = self._stalled, False
        if stalled and data:
            self._say(STARTING, "its bytes come again" + (": its start-up test" if self._tests else ""))
            self._begin(number_of(descriptor) == HWRNG)
        return data

    def _kernel(self, size: int) -> Optional[bytes]:
        data = kernel_random(size)
        while data is None and not self._stopping:
            self._wait(0.1)
            data = kernel_random(size)
        return data

    def _tested(self, data: bytes) -> bytes:
        if self.health is None:
            return data
        data = self.health.screen(data)
        if self.health.failed:
            raise CutOffError(FAILED, f"failed a health test: {self.health.failed}", unhealthy=True)
        return data

    def _mixed(self, data: bytes) -> bytes:
        other = self._kernel(len(data))
        return b"" if other is None else mix(data, other)

    def _room(self) -> int:
        """How many bytes may be read: waits until there is room, 0 when the reader is to stop."""
        room = self.ahead - (self.given - self.taken)
        if room <= 0:
            with self._lock:
                self.full = True
                while not self._stopping and self.given - self.taken > self.ahead // 2:
                    self._lock.wait()
                self.full = False
                room = self.ahead - (self.given - self.taken)
        return 0 if self._stopping else room

    def _pause(self, cut: CutOffError) -> Optional[float]:
        """Say what happened, and how long to wait before the next attempt; None is for ever."""
        timing, why = self._timing, cut.why
        pause: Optional[float] = timing.retry
        if cut.unhealthy:
            now = time.monotonic()
            self._failures.append(now)
            while self._failures[0] < now - timing.within:
                self._failures.popleft()
            pause = timing.failed if len(self._failures) < timing.failures else None
            why += f" ({self._so_often(pause)})"
        with self._lock:
            self._retry = False  # that was asked for while it was sound
        self._say(cut.state, why)
        return pause

    def _so_often(self, pause: Optional[float]) -> str:
        count, limit, hours = len(self._failures), self._timing.failures, self._timing.within / 3600
        if pause is None:
            return f"{count} failures in {hours:g} h; cut off until a reload, a restart or an upgrade"
        return f"{count} of {limit} failures in {hours:g} h; tried again after {pause:g} s"

    def _wait(self, seconds: Optional[float]) -> None:
        """Until the time is over, somebody asks for another attempt, or the reader is to stop."""
        with self._lock:
            self._lock.wait_for(lambda: self._stopping or self._retry, seconds)
            self._retry = False
