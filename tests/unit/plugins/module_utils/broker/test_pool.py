# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool: which source serves, what becomes of its bytes, and what is said aloud."""

from __future__ import annotations

import os
import random
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import device, pool, reader
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import SourceConfig
from ansible_collections.fleet.rng.plugins.module_utils.broker.device import FAILED
from ansible_collections.fleet.rng.plugins.module_utils.broker.leftover import Left, parse
from ansible_collections.fleet.rng.plugins.module_utils.broker.pool import PLENTY, Event
from ansible_collections.fleet.rng.plugins.module_utils.broker.reader import AHEAD, LEAST, Timing
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.module_utils.health import NO_FAILURE, NOT_RUN
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.pools import (
    NOISE,
    SOON,
    Pipe,
    Pools,
    states,
)

GETRANDOM = SourceConfig("getrandom", "none")


@pytest.fixture
def pools() -> Iterator[Pools]:
    before = set(threading.enumerate())
    here = Pools()
    yield here
    for one in here.all:
        one.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive(), "a thread did not end"


@pytest.fixture
def pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pipe, Pipe]]:
    monkeypatch.setattr(device, "_safe", lambda status: (0, 0))
    both = Pipe(tmp_path / "one"), Pipe(tmp_path / "two")
    yield both
    for one in both:
        os.close(one.feed)


@pytest.mark.parametrize("name", ["getrandom", "/dev/urandom", "/dev/random"])
def test_the_kernels_generator_needs_no_thread(name: str, pools: Pools) -> None:
    before = threading.active_count()
    one = pools.new(SourceConfig(name, "none"))
    assert threading.active_count() == before
    assert one.available == PLENTY
    assert one.wake() == [Event("serving", name, "serves the guests now")]
    taken = [one.take(size) for size in (1, 64, 255, 4096, 5000, 100_000)]
    assert [len(data) for data in taken] == [1, 64, 255, 4096, 5000, 100_000]
    assert len(set(b"".join(taken))) == 256
    assert one.status() == [
        {
            "source": name,
            "state": "serving",
            "why": None,
            "bytes": sum(map(len, taken)),
            "failures": 0,
            "health": {"repetition_count": NOT_RUN, "adaptive_proportion": NOT_RUN},
        }
    ]
    one.refill()
    assert one.available == PLENTY


def test_nothing_is_handed_out_twice(pools: Pools) -> None:
    one = pools.new(GETRANDOM)
    taken = []
    for size in (16, 4000, 100, 4096, 17, 8200) * 20:
        taken.append(one.take(size))
        if size == 17:
            one.refill()
    whole = b"".join(taken)
    pieces = [whole[at : at + 16] for at in range(0, len(whole) - 15, 16)]
    assert len(set(pieces)) == len(pieces)


def test_everything_is_handed_out_once_and_in_order(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.plain)
    data, sizes = b"", random.Random(2)  # noqa: S311 - data that can be had again
    sent = 0
    while len(data) < 100_000:
        while sent < len(data) + 30_000:
            first.write(NOISE[sent : sent + 10_000])
            sent += 10_000
        data += pools.take(one, sizes.randint(1, 2000))
    assert data == NOISE[: len(data)]
    assert one.status()[0]["bytes"] == len(data)


def test_a_reader_hears_of_room_while_bytes_are_taken(
    pools: Pools, pipes: tuple[Pipe, Pipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loop that waits for more would wait for its next pass."""
    monkeypatch.setattr(reader, "QUICK", -1.0)
    first, dummy = pipes
    one = pools.new(first.plain)
    first.write(NOISE[: 3 * AHEAD])
    pools.until(one, lambda: one.available == AHEAD)
    for at in range(0, AHEAD, 64):
        assert one.take(64) == NOISE[at : at + 64]
    assert select.select([one], [], [], 60)[0]


def test_all_that_stay_cut_off_can_be_tried_again(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM, timing=Timing(stalled=1000, failed=1000, failures=1))
    first.write(bytes(LEAST))
    pools.state(one, first.path, "failed")
    first.start(NOISE[:10])
    one.retry()
    pools.state(one, first.path, "serving")


def test_more_than_there_is(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.plain)
    with pytest.raises(RngError, match="0 are available"):
        one.take(1)
    first.write(b"abc")
    pools.until(one, lambda: one.available == 3)
    with pytest.raises(RngError, match="3 are available"):
        one.take(4)
    assert one.take(3) == b"abc"
    assert one.available == 0


def test_handed_out_bytes_are_forgotten(pools: Pools) -> None:
    one = pools.new(GETRANDOM)
    data = one.take(64)
    one.refill()
    assert data not in one._ready


def test_the_next_source_serves_until_the_first_has_passed_its_start_up_test(
    pools: Pools, pipes: tuple[Pipe, Pipe]
) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM)
    assert states(one) == {first.path: "starting", "getrandom": "serving"}
    assert len(one.take(64)) == 64
    first.start(NOISE[:200])
    pools.state(one, first.path, "serving")
    assert pools.take(one, 200) == NOISE[:200]
    assert [event.source for event in pools.events] == ["getrandom", first.path]
    assert [source["bytes"] for source in one.status()] == [200, 64]
    assert one.status()[0]["health"] == {"repetition_count": NO_FAILURE, "adaptive_proportion": NO_FAILURE}


def test_a_failed_source_is_cut_off_and_what_came_of_it_thrown_away(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM)
    first.start(NOISE[:500])
    pools.until(one, lambda: one.available == 500)
    assert one.take(100) == NOISE[:100]
    first.write(bytes(LEAST))
    pools.state(one, first.path, "failed")
    assert states(one)["getrandom"] == "serving"
    rest = one.take(1000)
    assert NOISE[100:116] not in rest
    status = one.status()[0]
    assert (status["bytes"], status["failures"]) == (100, 1)
    assert status["why"].startswith("failed a health test: repetition count (1 of 3 failures")
    assert [(event.kind, event.source) for event in pools.events] == [
        ("serving", "getrandom"),
        ("serving", first.path),
        ("cut off", first.path),
        ("serving", "getrandom"),
    ]
    assert pools.events[2].message == f"failed: {status['why']}"


def test_what_came_just_before_a_failure_is_thrown_away_too(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware)
    source = one._sources[0]
    first.start(NOISE[:4000])
    while source.reader and source.reader.given < 4000:
        time.sleep(0.001)
    first.write(bytes(LEAST))
    while source.reader and source.reader.messages[-1][0] != FAILED:
        time.sleep(0.001)
    pools.state(one, first.path, "failed")
    assert (one.available, source.buffer, one.status()[0]["bytes"]) == (0, b"", 0)


def test_a_preferred_source_takes_over_again(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM, timing=SOON)
    for turn in range(2):
        first.start(NOISE[:1000])
        pools.state(one, first.path, "serving")
        data = pools.take(one, 100)
        assert data == NOISE[:100], turn
        first.write(bytes(LEAST))
        pools.state(one, first.path, "failed")
        assert one.available == PLENTY


def test_a_source_whose_buffer_was_full_goes_on_after_a_failure(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, timing=SOON)
    for turn in (1, 2):
        first.start(NOISE[: AHEAD - LEAST])
        pools.until(one, lambda: one.available == AHEAD - LEAST)
        first.write(bytes(LEAST))
        pools.state(one, first.path, "failed")
        assert one.status()[0]["failures"] == turn
    first.start(NOISE[: 4 * AHEAD])
    assert pools.take(one, 4 * AHEAD) == NOISE[: 4 * AHEAD]


def test_with_wait_only_the_first_source_serves(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, second = pipes
    one = pools.new(first.hardware, second.hardware, GETRANDOM, when_failing="wait", timing=SOON)
    first.start(NOISE[:100])
    pools.until(one, lambda: one.available == 100)
    first.write(bytes(LEAST))
    pools.state(one, first.path, "failed")
    assert one.available == 0
    assert states(one) == {first.path: "failed", second.path: "standby", "getrandom": "standby"}
    assert pools.events[-1] == Event("waiting", "", "no source is sound: guests wait")
    first.start(NOISE[:100])
    assert pools.take(one, 100) == NOISE[:100]
    assert pools.events[-1].kind == "serving"


def test_a_slow_second_source_stands_by_tested_and_with_bytes(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, second = pipes
    one = pools.new(first.hardware, second.hardware, GETRANDOM)
    second.start(NOISE[:300])
    pools.state(one, second.path, "serving")
    first.start(NOISE[1000:1300])
    pools.until(one, lambda: states(one) == {first.path: "serving", second.path: "standby", "getrandom": "standby"})
    assert pools.take(one, 100) == NOISE[1000:1100]
    first.write(bytes(LEAST))
    pools.state(one, first.path, "failed")
    assert pools.take(one, 300) == NOISE[:300]


def test_bytes_of_a_source_that_was_relieved_are_kept_for_later(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, second = pipes
    one = pools.new(first.hardware, second.hardware)
    second.start(NOISE[:300])
    pools.until(one, lambda: one.available == 300)
    assert one.take(100) == NOISE[:100]
    first.start(NOISE[1000:1100])
    pools.until(one, lambda: one.available == 100)
    assert one.take(100) == NOISE[1000:1100]
    first.write(bytes(LEAST))
    pools.until(one, lambda: one.available == 200)
    assert one.take(200) == NOISE[100:300]


def test_a_slow_source_is_no_failed_source(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM)
    first.start(NOISE[:64])
    pools.until(one, lambda: one.available == 64)
    one.take(64)
    one.refill()
    assert one.available == 0
    assert states(one)[first.path] == "serving"


def test_a_stalled_source_is_cut_off(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM, timing=Timing(stalled=0.05, look=0.01))
    pools.state(one, first.path, "stalled")
    assert states(one)["getrandom"] == "serving"
    first.start()
    pools.until(one, lambda: pools.events[-1].kind == "cut off" or states(one)[first.path] != "stalled")
    assert ("cut off", first.path, "stalled: not a byte came in 0.05 s") in [
        (event.kind, event.source, event.message) for event in pools.events
    ]


def test_a_device_that_is_missing_is_said_once_and_found_when_it_comes(
    pools: Pools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_safe", lambda status: (0, 0))
    path = tmp_path / "late"
    one = pools.new(SourceConfig(str(path), "none"), GETRANDOM, timing=SOON)
    pools.state(one, str(path), "missing")
    for dummy in range(5):
        select.select([one], [], [], 1.0)
        pools.events += one.wake()
    assert sum(event.kind == "cut off" for event in pools.events) == 1
    assert one.status()[0]["failures"] == 1
    late = Pipe(path)
    late.write(b"abc")
    assert pools.take(one, 3) == b"abc" or states(one)["getrandom"] == "serving"
    pools.state(one, str(path), "serving")
    os.close(late.feed)


def test_no_source_at_all_is_said_once(pools: Pools) -> None:
    one = pools.new(SourceConfig("/dev/null", "none"), SourceConfig("/dev/no-such-device", "none"), timing=SOON)
    pools.until(one, lambda: "waiting" in [event.kind for event in pools.events])
    for dummy in range(5):
        select.select([one], [], [], 0.1)
        pools.events += one.wake()
    assert [event.kind for event in pools.events] == ["cut off", "cut off", "waiting"]
    assert one.available == 0


def test_before_the_kernels_generator_is_ready(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Event()
    monkeypatch.setattr(pool, "kernel_random", lambda size: os.urandom(size) if ready.is_set() else None)
    one = pools.new(GETRANDOM)
    one.refill()
    assert (one.available, one.wake(), states(one)["getrandom"]) == (0, [], "starting")
    assert one.status()[0]["why"] == "the kernel's generator is not ready yet"
    ready.set()
    pools.state(one, "getrandom", "serving")
    assert len(one.take(64)) == 64


def test_the_generator_is_ready_before_anybody_looks_again(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None])
    monkeypatch.setattr(pool, "kernel_random", lambda size: next(answers, os.urandom(size)))
    one = pools.new(GETRANDOM)
    assert states(one)["getrandom"] == "starting"
    pools.state(one, "getrandom", "serving")


def test_the_kernels_generator_can_be_tested_too(pools: Pools) -> None:
    one = pools.new(SourceConfig("/dev/urandom", "hardware"))
    pools.take(one, 100_000)
    assert one.status()[0]["health"] == {"repetition_count": NO_FAILURE, "adaptive_proportion": NO_FAILURE}


def test_what_is_left_is_handed_over(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, second = pipes
    one = pools.new(first.hardware, second.hardware, GETRANDOM)
    first.start(NOISE[:300])
    second.start(NOISE[500:700])
    pools.until(one, lambda: one.available == 300 and states(one)[second.path] == "standby")
    pools.until(one, lambda: one._sources[1].buffer == NOISE[500:700])
    assert one.take(100) == NOISE[:100]
    leftover = one.leftover()
    one.close()
    two = pools.new(first.hardware, second.hardware, GETRANDOM, leftover=leftover)
    assert two.available == 200, "at once, without another start-up test"
    assert [source["bytes"] for source in two.status()] == [100, 0, 0]
    first.write(NOISE[300:400])
    assert pools.take(two, 300) == NOISE[100:400]
    assert [source["bytes"] for source in two.status()] == [400, 0, 0]
    first.write(bytes(LEAST))
    pools.state(two, first.path, "failed")
    assert pools.take(two, 200) == NOISE[500:700]


def test_nothing_of_a_failed_source_is_handed_over(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, dummy = pipes
    one = pools.new(first.hardware, GETRANDOM)
    first.start(NOISE[:300])
    pools.until(one, lambda: one.available == 300)
    first.write(bytes(LEAST))
    pools.state(one, first.path, "failed")
    assert parse(one.leftover())[first.path] == Left(count=0, failures=1, proven=False, waiting=b"")
    two = pools.new(first.hardware, GETRANDOM, leftover=one.leftover())
    assert states(two) == {first.path: "starting", "getrandom": "serving"}
    assert two.status()[0]["failures"] == 1


def test_bytes_of_a_source_that_is_no_longer_listed_are_dropped(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, second = pipes
    one = pools.new(first.plain)
    first.write(NOISE[:300])
    pools.until(one, lambda: one.available == 300)
    two = pools.new(second.plain, leftover=one.leftover())
    assert (two.available, states(two)) == (0, {second.path: "starting"})


def test_closing_ends_the_threads_and_says_nothing_more(pools: Pools, pipes: tuple[Pipe, Pipe]) -> None:
    first, second = pipes
    one = pools.new(first.hardware, second.plain, GETRANDOM)
    one.wake()
    one.close()
    one.close()
    assert one.available == 0
    one._post()
    assert not one._news, "its descriptors may be somebody else's by now"
