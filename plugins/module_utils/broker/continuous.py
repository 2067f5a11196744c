# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a source just failed? The health tests of ``health`` on a stream, block by block, and across their borders.

NIST SP 800-90B, 4.3 and 4.4: a start-up test of 1024 samples before anything is used, and two tests that never end.
A sample is a byte. All passes over the bytes are made by functions that are written in C.
"""

from __future__ import annotations

from typing import Dict

from ..health import FAILED, NO_FAILURE, START_UP, TOO_LITTLE, WINDOW, proportion_cutoff, repetition_cutoff

# Bits of min-entropy that a byte of a source claims if nothing is known of it. Raw sources have less than 8, and a
# sound one that has 6 would soon be called failed at 8. At 6, a source that is stuck, gives text, or has a bias of 0.7
# in its bits still fails.
CLAIM = 6.0
LEAST_CLAIM = 0.5

# For each byte and each window of a source that has just what it claims; the least that the standard leaves to choose,
# since a stream is long: 2^40 bytes are 12 days at 1 MB/s, and for a source with more than its claim for ever.
FALSE_ALARM = 2.0**-40

_FULL_QUALITY = 1024


def claim(quality: str) -> float:
    """The claim that the kernel makes for its hardware RNG. ``rng_quality`` has bits of entropy in 1024 bits."""
    if not (quality.isascii() and quality.isdigit()) or not 0 < int(quality) <= _FULL_QUALITY:
        return CLAIM  # 0 means that the driver does not know
    return max(LEAST_CLAIM, 8.0 * int(quality) / _FULL_QUALITY)


class HealthTests:
    """The tests of one source from its start until it fails, which is for good: a new start is a new object.

    ``failed`` is the name of the test that failed, or nothing. ``left`` is how many bytes of the start-up test are to
    come. Bytes of the start-up test are not handed out, although the standard would allow it once it has passed: a
    device that was just plugged in may still be settling.
    """

    def __init__(self, entropy: float = CLAIM, start_up: int = START_UP) -> None:
        self.failed = ""
        self.left = start_up
        self.repetitions = repetition_cutoff(entropy, FALSE_ALARM)
        self.proportion = proportion_cutoff(entropy, FALSE_ALARM)
        self._run = bytes(self.repetitions - 1)  # that many equal neighbours, as differences, are a failure
        self._tail = b""  # what a run that goes on may have begun with
        self._first = -1  # of the window that has begun
        self._count = 0  # how often it came
        self._filled = 0  # bytes of that window

    def screen(self, data: bytes) -> bytes:
        """The part of these bytes that may be handed out: nothing during the start-up test, and after a failure."""
        if not self.failed and data:
            if self._repeats(data):
                self.failed = "repetition count"
            elif self._crowds(data):
                self.failed = "adaptive proportion"
        if self.failed:
            return b""
        starting = min(self.left, len(data))
        self.left -= starting
        return data[starting:]

    def results(self) -> Dict[str, str]:
        """The verdicts, in the words of ``health``. After a failure of one test, nothing more is known of the other."""
        words = {}
        for name in ("repetition_count", "adaptive_proportion"):
            if self.failed == name.replace("_", " "):
                words[name] = FAILED
            else:
                words[name] = TOO_LITTLE if self.left or self.failed else NO_FAILURE
        return words

    def _repeats(self, data: bytes) -> bool:
        """Whether one byte comes as often in a row as it may not, also across what came before."""
        whole = self._tail + data
        self._tail = whole[1 - self.repetitions :] if self.repetitions > 1 else b""
        number = int.from_bytes(whole, "little")
        # Each byte but the last becomes its difference to the next one: a run of n is n - 1 zeros.
        differences = (number ^ (number >> 8)).to_bytes(len(whole), "little")
        return differences.find(self._run, 0, len(whole) - 1) >= 0

    def _crowds(self, data: bytes) -> bool:
        """Whether the first byte of a window comes too often in it, also of one that began before."""
        cutoff, at, size = self.proportion, 0, len(data)
        if self._filled:
            at = min(WINDOW - self._filled, size)
            self._count += data.count(self._first, 0, at)
            self._filled = (self._filled + at) % WINDOW
            if self._count >= cutoff:
                return True
        count = data.count
        end = at + (size - at) // WINDOW * WINDOW
        for start in range(at, end, WINDOW):
            if count(data[start], start, start + WINDOW) >= cutoff:
                return True
        if end < size:
            self._first, self._filled = data[end], size - end
            self._count = count(data[end], end)
        return self._filled > 0 and self._count >= cutoff
