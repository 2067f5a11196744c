# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn to see a quota, the script that draws it (run by this machine's shell), and what is made of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import Rate
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import (
    SAMPLE,
    SCRIPT,
    Draw,
    Drawn,
    Limits,
    MeasureError,
    arguments,
    parse,
    plan,
)
from hypothesis import given
from hypothesis import strategies as st

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.mark.parametrize(
    ("limits", "rate", "draw"),
    [
        (Limits(), Rate(None), Draw(0, 65536)),
        (Limits(), Rate(1024), Draw(1216, 3072, parts=3)),
        (Limits(), Rate(4096), Draw(4288, 12288, parts=3)),
        (Limits(), Rate(16384), Draw(16576, 49152 - 16384, parts=2)),  # as many quotas as the bytes allow
        (Limits(), Rate(1000), Draw(1152, 3000, parts=3)),
        (Limits(8), Rate(1, 10), Draw(384, 2 * 192, parts=2)),
        (Limits(48), Rate(17), Draw(384, 2 * 204, parts=2)),
        (Limits(5), Rate(1024, 100), Draw(1216, 45 * 1024, parts=9)),
        (Limits(1, 8192), Rate(1024, 100), Draw(1216, 6 * 1024, parts=3)),
        (Limits(4), Rate(1024), Draw(1216, 2048, parts=2)),
    ],
)
def test_whole_quotas_are_drawn(limits: Limits, rate: Rate, draw: Draw) -> None:
    assert plan(limits, rate, 64) == draw
    assert draw.warm_up + draw.counted <= limits.count


@pytest.mark.parametrize(
    ("limits", "rate", "draw", "why"),
    [
        (Limits(), Rate(65536), Draw(0, 65536), "measure.bytes has to be at least 196800"),
        (Limits(), Rate(1024, 1), Draw(0, 65536), "measure.bytes has to be at least 513216"),
        (Limits(5), Rate(1024, 15000), Draw(0, 1024), "measure.seconds has to be at least 60"),
        (Limits(3), Rate(1024, 1000), Draw(0, 1024), "measure.seconds has to be at least 4"),
        (Limits(3), Rate(4096, 1000), Draw(0, 4096), "measure.seconds has to be at least 4"),
        (Limits(47), Rate(17), Draw(0, 204), "measure.seconds has to be at least 48"),
        (Limits(), Rate(1024, 60000), Draw(0, 1024), "it would take 240, more than may be asked for (60)"),
        (Limits(60), Rate(1), Draw(0, 192), "it would take 768, more than may be asked for (60)"),
        (Limits(), Rate(2**24), Draw(0, 65536), "it would take 50331840, more than may be asked for (16777216)"),
    ],
)
def test_limits_that_hide_the_quota(limits: Limits, rate: Rate, draw: Draw, why: str) -> None:
    planned = plan(limits, rate, 64)
    assert (planned.warm_up, planned.counted) == (draw.warm_up, draw.counted)
    assert planned.too_short is (" seconds: " in str(planned.why))
    assert planned.why is not None
    assert planned.why.endswith(why)


def test_kernels_that_ask_for_more_at_a_time() -> None:
    assert plan(Limits(), Rate(1024), 256) == Draw(1792, 3072, parts=3)
    assert plan(Limits(12), Rate(256), 256) == Draw(1536, 2 * 768, parts=2)


RENEWALS = st.integers(128, 10_000).flatmap(
    # a quota, how much is left of it, when it is renewed first, and how late the reader is after each renewal
    lambda quota: st.tuples(
        st.just(quota), st.integers(0, quota), st.floats(0.01, 1), st.lists(st.floats(0, 0.9), min_size=30, max_size=30)
    )
)


def seconds_to_draw(count: int, quota: int, left: int, first: float, late: list[float]) -> float:
    """What QEMU's limiter with a period of a second makes of it: bytes that were not drawn in time are no more."""
    if count <= left:
        return 0.0
    needed = -(-(count - left) // quota)
    return first + needed - 1 + late[needed]


def trace(draw: Draw, held: int, quota: int, left: int, first: float, late: list[float]) -> Drawn:
    """What the script tells of a guest whose kernel holds some bytes from before."""
    part = draw.counted // draw.parts
    counts = [draw.warm_up + number * part - held for number in range(draw.parts + 1)]
    marks = [f"{seconds_to_draw(count, quota, left, first, late):.2f}" for count in counts]
    figures = f"fleet.rng measure 2: 0.00 {marks[-1]} {draw.counted} 0 0 {' '.join(marks)}\n"
    return parse(draw, b"", figures.encode())


@given(RENEWALS, st.integers(4, 20), st.integers(0, 128))
def test_a_reader_that_is_late_after_a_renewal_gets_nothing_for_free(
    limiter: tuple[int, int, float, list[float]], seconds: int, held: int
) -> None:
    quota, left, first, late = limiter
    draw = plan(Limits(seconds, 1 << 20), Rate(quota), 64)
    if draw.why:
        return
    drawn = trace(draw, held, quota, left, first, late)
    assert drawn.at_least <= quota * 1.01
    assert drawn.at_least <= drawn.per_second


WORKING = st.tuples(st.integers(192, 10_000), st.integers(0, 100), st.floats(0.01, 1))


@given(WORKING, st.integers(5, 20), st.integers(0, 128), st.integers(0, 29), st.floats(0, 0.9))
def test_the_figure_is_that_of_the_limit_although_the_guest_is_late_once(
    limiter: tuple[int, int, float], seconds: int, held: int, when: int, late: float
) -> None:
    quota, percent, first = limiter
    draw = plan(Limits(seconds, 1 << 20), Rate(quota), 64)
    drawn = trace(draw, held, quota, quota * percent // 100, first, [late * (n == when) for n in range(30)])
    assert draw.parts >= 3
    assert quota * 0.97 <= drawn.per_second <= quota


@given(WORKING, st.integers(4, 20), st.lists(st.floats(0, 0.03), min_size=30, max_size=30))
def test_the_figure_of_a_guest_that_is_always_a_little_late(
    limiter: tuple[int, int, float], seconds: int, late: list[float]
) -> None:
    quota, percent, first = limiter
    drawn = trace(plan(Limits(seconds, 1 << 20), Rate(quota), 64), 0, quota, quota * percent // 100, first, late)
    assert quota * 0.95 <= drawn.per_second <= quota * 1.04


@pytest.mark.parametrize("times", [2, 4, 100])
@pytest.mark.parametrize("first", [0.01, 0.5, 1.0])
def test_the_figure_does_not_hide_a_limit_that_is_too_high(times: int, first: float) -> None:
    draw = plan(Limits(), Rate(4096), 64)
    drawn = trace(draw, 0, 4096 * times, 4096 * times, first, [0.0] * 30)
    assert drawn.per_second >= drawn.at_least >= 4096 * 1.4


def test_the_figure_of_a_limit_that_is_too_low() -> None:
    draw = plan(Limits(), Rate(4096), 64)
    assert 1980 <= trace(draw, 0, 2048, 2048, 0.3, [0.0] * 30).per_second <= 2048


def run(shell: str, draw: Draw, device: Path, seconds: int = 20) -> tuple[bytes, bytes]:
    words = [*([shell, "sh"] if shell == "busybox" else [shell]), "-c", SCRIPT.replace("/dev/hwrng", str(device))]
    done = subprocess.run(
        [*words, *arguments(draw, Limits(seconds))], capture_output=True, timeout=seconds + 20, check=True
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("draw", "sample"),
    [
        (Draw(1088, 3072), 4160),
        (Draw(1088, 3072, parts=3), 4160),
        (Draw(1000, 48_000, parts=16), 49_000),
        (Draw(0, 65536), 65536),
        (Draw(2, 3), 5),
        (Draw(0, 300_000), 65536),
        (Draw(65600, 131072), 65536),
        (Draw(1000, 77), 1077),
    ],
)
def test_the_script_draws_what_it_is_told(draw: Draw, sample: int, shell: str) -> None:
    drawn = parse(draw, *run(shell, draw, Path("/dev/urandom")))
    assert (drawn.count, len(drawn.sample), drawn.failed) == (draw.counted, sample, False)
    assert len(drawn.sample) <= SAMPLE
    assert len(drawn.gaps) == draw.parts


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_ends_on_a_device_that_gives_nothing(shell: str, tmp_path: Path) -> None:
    fifo = tmp_path / "starved"
    subprocess.run(["mkfifo", fifo], check=True)
    writer = os.open(fifo, os.O_RDWR)
    try:
        os.write(writer, b"x" * 512)
        draw = Draw(1088, 3072, parts=3)
        drawn = parse(draw, *run(shell, draw, fifo, seconds=1))
        os.write(writer, b"x" * 2300)
        later = parse(draw, *run(shell, draw, fifo, seconds=1))
    finally:
        os.close(writer)
    assert (drawn.count, len(drawn.sample), drawn.failed) == (512, 512, False)
    assert (later.count, len(later.sample), later.gaps) == (2300 - 1088, 2300, ())
    assert drawn.seconds >= 0.9


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_tells_that_reading_failed(shell: str, tmp_path: Path) -> None:
    drawn = parse(Draw(0, 512), *run(shell, Draw(0, 512), tmp_path))
    assert (drawn.count, drawn.sample, drawn.failed) == (0, b"", True)


def test_figures() -> None:
    drawn = parse(Draw(10, 20, parts=2), b"x" * 30, b"fleet.rng measure 2: 5.00 8.00 20 30 0 6.00 6.99 8.00\n")
    assert (drawn.count, drawn.seconds, drawn.at_least, len(drawn.sample)) == (20, 3.0, 6.7, 30)
    assert (drawn.gaps, drawn.per_second) == ((0.99, 1.01), 9.8)


def test_one_part_says_no_more_than_the_whole() -> None:
    drawn = parse(Draw(10, 20), b"x" * 30, b"fleet.rng measure 2: 5.00 8.00 20 30 0 6.00 8.00\n")
    assert drawn.per_second == drawn.at_least == 6.7


def test_the_time_was_up_in_the_middle_of_a_chunk() -> None:
    drawn = parse(Draw(10, 20), b"x" * 25, b"fleet.rng measure 2: 5.00 8.00 0 10 0 6.00\n")
    assert (drawn.count, drawn.per_second) == (15, 5.0)


def test_the_time_was_up_in_the_warm_up() -> None:
    drawn = parse(Draw(10, 20), b"x" * 5, b"fleet.rng measure 2: 5.00 10.00 0 0 0\n")
    assert (drawn.count, drawn.seconds, drawn.per_second) == (5, 5.0, 1.0)


def test_what_is_too_short_for_the_clock() -> None:
    drawn = parse(Draw(0, 100), b"x" * 100, b"fleet.rng measure 2: 5.00 5.00 100 100 0 5.00 5.00\n")
    assert drawn.per_second == 10_000


@pytest.mark.parametrize(
    ("out", "err"),
    [
        (b"", b""),
        (b"", b"sh: not found\n"),
        (b"", b"x" * 10_000_000),
        (b"", b"fleet.rng measure 2: 5.00 8.00 20 30 0 6.00\n\xff"),
        (b"", b"fleet.rng measure 2: 5.00 8.00 20 30 0 6.00\n"),  # less than it says was sent
        (b"x" * 30, b"fleet.rng measure 2: 5.00 8.00 20 30 0 9.00\n"),  # a clock that goes backwards
        (b"x" * 30, b"fleet.rng measure 2: 5.00 8.00 20 30 0 7.00 6.00\n"),
        (b"x" * 30, b"fleet.rng measure 2: 5.00 8.00 20 30 0" + b" 6.00" * 18 + b"\n"),  # more parts than there can be
        (b"x" * 30, b"fleet.rng measure 2: 5.00 8.00 9999 30 0 6.00\n"),  # more than it was told to draw
        (b"x" * 31, b"fleet.rng measure 2: 5.00 8.00 30 0 0 6.00\n"),
    ],
)
def test_what_the_script_never_prints(out: bytes, err: bytes) -> None:
    with pytest.raises(MeasureError):
        parse(Draw(10, 20), out, err)
