# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a guest gets bytes from its RNG: what is to be drawn, the shell script that draws it, and what came of it.

QEMU's limiter is a quota that a timer renews, not a stream, and the first quota is free. When it is renewed a guest
cannot know: one that gets no CPU notices it late, and has the next quota all the sooner. So what is free is drawn, too,
a warm-up of a little more than a quota that does not count, and the time runs from before it. Then k quotas that count
need k + 1 renewals, between which are k periods: the rate of a limit that works is never overrated, however late the
guest is, and underrated by one period at most where it is not late. On that a verdict rests.
People read another figure: what counts is drawn in parts, each of which ends just after a renewal, and the middle one
of the times between those ends is that of the limit, unless the guest is late again and again.
A guest's kernel takes 64 bytes or more before it hands out one, so of small quotas several are taken for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median_high
from typing import Optional, Tuple

from ..device import Rate
from ..errors import RngError

SECONDS, MAX_SECONDS = 5, 60
BYTES, MIN_BYTES, MAX_BYTES = 65536, 256, 16 * 1024 * 1024
SAMPLE = 65536  # bytes of what was drawn that are handed over; more would be too long for an answer of the agent

_LEAST_MILLISECONDS = 500  # below, the steps of 10 ms of the guest's clock, and its work, weigh too much
_LEAST_QUOTAS = 2  # of one, a period more or less is all that there is to see
_OTHER_PERIODS = 2  # until the first renewal, and for a guest that is late
_MOST_PARTS = 16
_CLOCK = 0.01  # seconds, a step of the guest's clock
_HELD = 2  # requests whose bytes a guest's kernel may hold from before: the driver's, and those of /dev/hwrng


class MeasureError(RngError):
    """What the guest sent is not what the script prints."""


@dataclass(frozen=True)
class Limits:
    """What a measurement may take of a guest, its warm-up included."""

    seconds: int = SECONDS
    count: int = BYTES


@dataclass(frozen=True)
class Draw:
    """What is to be drawn: ``warm_up`` bytes that do not count, then ``counted``. ``why`` no rate will come of it.

    ``too_short`` is the time in which a sound device need not give one byte; ``parts`` is in how many equal parts what
    counts is drawn.
    """

    warm_up: int
    counted: int
    why: Optional[str] = None
    too_short: bool = False
    parts: int = 1


@dataclass(frozen=True)
class Drawn:
    """What was drawn. ``count`` is without the warm-up, ``seconds`` (the guest's clock) and ``sample`` are with it.

    ``gaps`` are the seconds that each part took; none where not all of them were drawn.
    """

    count: int
    seconds: float
    sample: bytes
    failed: bool
    gaps: Tuple[float, ...] = ()

    @property
    def at_least(self) -> float:
        """Bytes per second: what a limit that works allows, or less. No time is shorter than a step of the clock."""
        return round(self.count / max(self.seconds, _CLOCK), 1)

    @property
    def per_second(self) -> float:
        """Bytes per second, by the part that took a middling time; a step of the clock is in the limit's favour.

        One part that is long, or short after a late one, changes nothing. Of two it is the longer one.
        """
        if len(self.gaps) < _LEAST_QUOTAS:
            return self.at_least
        return max(self.at_least, round(self.count / len(self.gaps) / (median_high(self.gaps) + _CLOCK), 1))


def plan(limits: Limits, rate: Rate, at_once: int) -> Draw:
    """What to draw from a device with this rate, within the limits.

    :param at_once: the bytes that the guest's kernel asks for at a time.
    """
    if rate.max_bytes is None:
        return Draw(0, limits.count)
    together = _ceil((_HELD + 1) * at_once, rate.max_bytes)  # with less, the warm-up would wait more than once
    quota, period = together * rate.max_bytes, together * rate.period
    # What is not a multiple would leave a part of what the kernel took to the bytes that count.
    warm_up = _ceil(quota + _HELD * at_once + 1, at_once) * at_once
    needed = warm_up + max(_LEAST_QUOTAS, _ceil(_LEAST_MILLISECONDS, period)) * quota
    if needed > limits.count:
        return Draw(0, limits.count, _hidden(rate, limits.count, "bytes", needed, MAX_BYTES))
    periods = limits.seconds * 1000 // period - _OTHER_PERIODS
    if periods < _LEAST_QUOTAS:
        needed = _ceil((_LEAST_QUOTAS + _OTHER_PERIODS) * period, 1000)
        return Draw(0, quota, _hidden(rate, limits.seconds, "seconds", needed, MAX_SECONDS), too_short=True)
    quotas = min(periods, (limits.count - warm_up) // quota)
    # Long enough for the clock, not too many, and three or more of them if there is enough for that.
    together = min(max(_ceil(_LEAST_MILLISECONDS, period), _ceil(quotas, _MOST_PARTS)), max(1, quotas // 3))
    parts = quotas // together
    return Draw(warm_up, parts * together * quota, parts=parts)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _hidden(rate: Rate, given: int, unit: str, needed: int, most: int) -> str:
    """Why a limit of the measurement hides the rate, and what can be done."""
    hidden = f"a rate of {rate} does not show in {given} {unit}: "
    if needed <= most:
        return f"{hidden}measure.{unit} has to be at least {needed}"
    return f"{hidden}it would take {needed}, more than may be asked for ({most})"


# Drawn in chunks, because those tell how much came when the last one is cut off. Each read takes what it asks for: the
# device hands out whole reads. Large reads would lose more when they are cut off.
# $1 bytes of the warm-up, $2 bytes of each of $3 parts that count, $4 seconds, $5 bytes of the sample. The sample goes
# to standard output, the figures go to standard error.
SCRIPT = r"""
export LC_ALL=C PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
exec 3>&2 2>/dev/null # a shell would tell there that a reader was killed
over= failed=0 d= room=$5 sent=0 got=0 all=0 part=0 marks=

# A reader of a device that gives nothing waits for ever; only KILL ends it.
trap 'over=1; [ -z "$d" ] || kill -KILL "$d"' TERM
( s=; trap 'kill $s; exit' TERM
  sleep "$4" & s=$!
  wait $s; kill -TERM $$ ) </dev/null >/dev/null 2>&1 3>&- &
w=$!

# take BYTES: into the sample while it has room, then to nowhere
take() {
  n=$1 got=0
  while [ "$n" -gt 0 ] && [ -z "$over" ]; do
    c=$n
    [ "$c" -le 65536 ] || c=65536
    b=256
    [ "$c" -ge $b ] || b=$c
    c=$((c - c % b))
    if [ "$room" -ge "$c" ]; then
      dd if=/dev/hwrng bs=$b count=$((c / b)) & d=$!
    else
      dd if=/dev/hwrng of=/dev/null bs=$b count=$((c / b)) & d=$!
    fi
    [ -z "$over" ] || kill -KILL $d
    wait $d
    r=$?
    d=
    [ -z "$over" ] || return
    if [ $r -ne 0 ]; then failed=1; return; fi
    n=$((n - c)) got=$((got + c))
    if [ "$room" -ge "$c" ]; then room=$((room - c)) sent=$((sent + c)); fi
  done
}

read -r s0 r </proc/uptime
take "$1"
while [ -z "$over" ] && [ $failed -eq 0 ]; do
  read -r t r </proc/uptime
  marks="$marks $t"
  [ $part -lt "$3" ] || break
  part=$((part + 1))
  take "$2"
  all=$((all + got)) got=$all
done
read -r t1 r </proc/uptime
kill $w
echo "fleet.rng measure 2: $s0 $t1 $got $sent $failed$marks" >&3
"""

_FIGURES = re.compile(
    r"fleet\.rng measure 2: ([0-9]{1,12}\.[0-9]{2}) ([0-9]{1,12}\.[0-9]{2}) ([0-9]{1,9}) ([0-9]{1,9}) ([01])"
    rf"((?: [0-9]{{1,12}}\.[0-9]{{2}}){{0,{_MOST_PARTS + 1}}})\n?"
)


def arguments(draw: Draw, limits: Limits) -> Tuple[str, ...]:
    """The words to give to a shell behind ``-c`` and the script."""
    words = (draw.warm_up, draw.counted // draw.parts, draw.parts, limits.seconds, SAMPLE)
    return ("measure", *map(str, words))


def parse(draw: Draw, out: bytes, err: bytes) -> Drawn:
    """What the script's output says.

    :raises MeasureError: when the script did not print it.
    """
    figures = _FIGURES.fullmatch(err.decode("ascii", "replace"))
    if figures is None:
        raise MeasureError("the shell of the guest did not run the measurement")
    begin, end = float(figures.group(1)), float(figures.group(2))
    got, sent, failed = int(figures.group(3)), int(figures.group(4)), figures.group(5) == "1"
    marks = [float(mark) for mark in figures.group(6).split()]  # after the warm-up, and after each part
    cut_off = len(out) - sent  # of the last chunk, if the time was up meanwhile
    times = [begin, *marks, end]
    if cut_off < 0 or times != sorted(times) or got + cut_off > draw.warm_up + draw.counted:
        raise MeasureError("the figures of the guest contradict each other")
    gaps: Tuple[float, ...] = ()
    if len(marks) == draw.parts + 1 and got == draw.counted:
        gaps = tuple(round(later - sooner, 2) for sooner, later in zip(marks, marks[1:]))
    return Drawn(got + cut_off, round(end - begin, 2), out, failed, gaps)
