# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader threads on pseudo-terminals, which are character devices, and on named pipes, which stand in for others."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import device, reader
from ansible_collections.fleet.rng.plugins.module_utils.broker.device import FAILED, MISSING, SOUND, STALLED, STARTING
from ansible_collections.fleet.rng.plugins.module_utils.broker.reader import AHEAD, LEAST, MOST_AHEAD, Reader, Timing
from ansible_collections.fleet.rng.plugins.module_utils.health import START_UP

PATIENCE = 60.0  # seconds; nobody waits so long
NEVER = Timing(stalled=1000, retry=1000, failed=1000)
AT_ONCE = Timing(stalled=1000, retry=0.01, failed=0.01, look=0.0)
NOISE = random.Random(1).randbytes(1 << 18)  # noqa: S311 - data that can be had again


class Heard:
    """What a reader told, and a way to wait for more."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.told = threading.Event()

    def start(
        self, path: str, tests: bool = True, conditioning: bool = False, proven: bool = False, timing: Timing = NEVER
    ) -> Reader:
        one = Reader(path, tests, conditioning, proven, self.told.set, timing)
        self.readers.append(one)
        one.start()
        return one

    def until(self, wanted: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not wanted():
            assert self.told.wait(max(end - time.monotonic(), 0)), "nothing more was told"
            self.told.clear()

    def state(self, one: Reader, state: str, times: int = 1) -> str:
        """Wait for a state, and return why it came."""
        self.until(lambda: sum(message[0] == state for message in list(one.messages)) >= times)
        return [message[1] for message in one.messages if message[0] == state][-1]

    def bytes(self, one: Reader, size: int) -> bytes:
        """Wait for so many bytes, and take all that came."""
        self.until(lambda: sum(len(message[2]) for message in list(one.messages)) >= size)
        data = b""
        while one.messages:
            data += one.messages.popleft()[2]
        one.taken += len(data)
        one.more()
        return data


@pytest.fixture
def heard() -> Iterator[Heard]:
    here = Heard()
    yield here
    for one in here.readers:
        one.stop()
    assert all(one.join(PATIENCE) for one in here.readers), "a thread did not end"


@pytest.fixture
def line() -> Iterator[tuple[str, int]]:
    """A pseudo-terminal: the path of a character device, and what feeds it."""
    feed, device = os.openpty()
    os.set_blocking(feed, False)
    yield os.ttyname(device), feed
    os.close(device)
    os.close(feed)


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(device, "_safe", lambda status: (0, 0))
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feed = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield str(path), feed
    os.close(feed)


def until(wanted: Callable[[], bool]) -> None:
    """For what is not told."""
    end = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.001)


def write(feed: int, data: bytes) -> None:
    """All of it, however little the other side takes at a time."""
    end = time.monotonic() + PATIENCE
    while data:
        try:
            data = data[os.write(feed, data) :]
        except BlockingIOError:
            assert time.monotonic() < end, "nobody reads"
            time.sleep(0.001)


def test_a_serial_line_passes_every_byte_as_it_is(line: tuple[str, int], heard: Heard) -> None:
    path, feed = line
    one = heard.start(path, tests=False)
    everything = bytes(range(256)) * 4
    until(lambda: is_raw(path))  # before, the line would change what is written
    write(feed, everything)
    assert heard.bytes(one, len(everything)) == everything


def is_raw(path: str) -> bool:
    import termios

    descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    try:
        return not termios.tcgetattr(descriptor)[3] & termios.ICANON
    finally:
        os.close(descriptor)


def test_bytes_of_the_start_up_test_are_kept_back(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path)
    write(feed, NOISE[: START_UP + 500])
    assert heard.bytes(one, 500) == NOISE[START_UP : START_UP + 500]


def test_what_was_proven_before_needs_no_start_up_test(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path, proven=True)
    write(feed, NOISE[:300])
    assert heard.bytes(one, 300) == NOISE[:300]


def test_mixing_is_by_xor(pipe: tuple[str, int], heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "kernel_random", lambda size: b"\x0f" * size)
    path, feed = pipe
    one = heard.start(path, tests=False, conditioning=True)
    write(feed, NOISE[:300])
    assert heard.bytes(one, 300) == bytes(byte ^ 0x0F for byte in NOISE[:300])


def test_a_stuck_source_is_found_before_its_bytes_are_mixed(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path, conditioning=True, proven=True)
    write(feed, NOISE[:100] + bytes(50))
    why = heard.state(one, FAILED)
    assert why == "failed a health test: repetition count (1 of 3 failures in 1 h; tried again after 1000 s)"
    assert len(b"".join(message[2] for message in one.messages)) <= 100
    assert one.messages[-1] == (FAILED, why, b"")


def test_a_source_that_failed_is_tried_again_and_tested_from_the_start(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path, proven=True, timing=AT_ONCE)
    write(feed, bytes(LEAST))
    heard.state(one, FAILED)
    one.messages.clear()
    write(feed, NOISE[: START_UP + 200])
    assert heard.bytes(one, 200) == NOISE[START_UP : START_UP + 200]


def test_after_three_failures_it_stays_cut_off(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path, timing=AT_ONCE)
    for time_ in (1, 2, 3):
        write(feed, bytes(LEAST))
        why = heard.state(one, FAILED, time_)
    assert why == (
        "failed a health test: repetition count (3 failures in 1 h; cut off until a reload, a restart or an upgrade)"
    )
    write(feed, NOISE[:3000])
    one.stop()
    assert one.join(PATIENCE)
    assert len(one.messages) == 3
    assert os.read(feed, 3000) == NOISE[:3000], "it was not even read"


def test_a_source_that_stays_cut_off_can_be_tried_again(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path, timing=Timing(stalled=1000, failed=1000, failures=1))
    write(feed, bytes(LEAST))
    heard.state(one, FAILED)
    one.retry()
    write(feed, NOISE[: START_UP + 100])
    assert heard.bytes(one, 100) == NOISE[START_UP : START_UP + 100]
    write(feed, bytes(LEAST))
    assert "(1 failures in 1 h" in heard.state(one, FAILED), "those from before were forgotten"


def test_old_failures_do_not_count(pipe: tuple[str, int], heard: Heard) -> None:
    path, feed = pipe
    one = heard.start(path, timing=Timing(failed=0.01, within=0.0))
    for time_ in range(1, 6):
        write(feed, bytes(LEAST))
        assert "(1 of 3 failures" in heard.state(one, FAILED, time_)


def test_a_slow_source_is_not_read_far_ahead(
    pipe: tuple[str, int], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "QUICK", -1.0)
    path, feed = pipe
    one = heard.start(path, tests=False)
    write(feed, NOISE[:10])  # so that the last block before it is full is a short one
    heard.until(lambda: one.given == 10)
    write(feed, NOISE[10:16384])
    heard.until(lambda: one.given >= AHEAD)
    until(lambda: one.full)
    assert one.given == AHEAD
    data = heard.bytes(one, AHEAD)
    while len(data) < 16384:
        data += heard.bytes(one, 1)
        assert one.given - one.taken <= AHEAD
    assert data == NOISE[:16384]


def test_a_fast_source_is_read_in_larger_blocks(
    pipe: tuple[str, int], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "QUICK", PATIENCE)
    path, feed = pipe
    one = heard.start(path, tests=False)
    threading.Thread(target=write, args=(feed, NOISE), daemon=True).start()
    data = b""
    while len(data) < len(NOISE):
        data += heard.bytes(one, 1)
        assert one.given - one.taken <= MOST_AHEAD
    assert data == NOISE
    assert one.ahead == MOST_AHEAD


def test_a_read_that_does_not_come_back_is_noticed_and_tested_again_when_it_does(
    pipe: tuple[str, int], heard: Heard
) -> None:
    path, feed = pipe
    one = heard.start(path, proven=True)
    write(feed, NOISE[:100])
    assert heard.bytes(one, 100) == NOISE[:100]
    end = time.monotonic() + PATIENCE
    while not one.messages and time.monotonic() < end:
        one.look(time.monotonic() + 999)  # not long enough, seen from the moment when the read began
        one.look(time.monotonic() + 1001)
    one.look(time.monotonic() + 5000)
    assert [message[:2] for message in one.messages] == [(STALLED, "not a byte came in 1000 s")], "said once"
    write(feed, NOISE[: START_UP + 200])
    assert heard.bytes(one, 200) == NOISE[START_UP : START_UP + 200]


def test_a_read_that_has_lasted_less_is_no_stall(pipe: tuple[str, int], heard: Heard) -> None:
    one = heard.start(pipe[0])
    one.look(time.monotonic() + 999)
    assert not one.messages


def test_the_end_of_a_source_and_its_return(tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_safe", lambda status: (0, 0))
    path = tmp_path / "file"
    one = heard.start(str(path), tests=False, timing=AT_ONCE)
    assert heard.state(one, MISSING) == "No such file or directory"
    path.write_bytes(b"abc")
    assert heard.state(one, FAILED) == "it ended"
    assert (SOUND, "", b"abc") in one.messages


def test_a_device_that_goes_away(heard: Heard) -> None:
    feed, device = os.openpty()
    one = heard.start(os.ttyname(device), tests=False)
    os.write(feed, b"abc\n")
    heard.bytes(one, 3)
    os.close(device)
    os.close(feed)
    assert heard.state(one, FAILED) == "it ended"


@pytest.mark.parametrize("tests", [True, False])
@pytest.mark.parametrize("path", ["/dev/urandom", "/dev/random", "getrandom"])
def test_the_kernels_generator(path: str, tests: bool, heard: Heard) -> None:
    one = heard.start(path, tests=tests, conditioning=True)
    first, second = heard.bytes(one, 4096), heard.bytes(one, 2048)
    assert len(set(first)) > 200
    assert first[:2048] != second[:2048]


def test_the_kernels_generator_is_waited_for(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [None, None]
    monkeypatch.setattr(reader, "kernel_random", lambda size: answers.pop() if answers else b"x" * size)
    one = heard.start("/dev/urandom", tests=False)
    heard.bytes(one, 1)
    assert answers == []


def test_another_hardware_rng_is_tested_from_the_start(
    pipe: tuple[str, int], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"rng_current": "virtio_rng.0", "rng_quality": "1000"}
    monkeypatch.setattr(reader, "number_of", lambda descriptor: (10, 183))
    monkeypatch.setattr(reader, "word", words.__getitem__)
    path, feed = pipe
    one = heard.start(path, timing=AT_ONCE)
    write(feed, NOISE[: START_UP + 100])
    assert heard.bytes(one, 100) == NOISE[START_UP : START_UP + 100]
    assert one.health is not None
    assert (one.health.repetitions, one.health.left) == (7, 0)
    words.update(rng_current="tpm-rng-0", rng_quality="320")
    write(feed, NOISE[:LEAST])  # the read that had begun
    heard.until(lambda: any(message[0] == SOUND for message in list(one.messages)))
    write(feed, NOISE[: START_UP + 100])
    assert heard.state(one, STARTING).startswith("the kernel reads from another hardware RNG now")
    heard.until(lambda: list(one.messages)[-1][0] == SOUND)
    assert one.health.repetitions == 17
    words.update(rng_current="none")
    one.messages.clear()
    write(feed, NOISE[:200])
    heard.bytes(one, 200)
    assert one.health.left == 0, "none is no other source; reading says ENODEV"


def test_a_fault_in_the_thread_is_told(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    monkeypatch.setattr(reader, "open_device", lambda path: 1 / 0)
    assert "a fault of this program" in heard.state(heard.start("/dev/x"), FAILED)


def test_the_kernels_generator_is_not_mixed_with_itself(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(reader, "kernel_random", lambda size: sizes.append(size) or b"x" * size)
    heard.bytes(heard.start("/dev/urandom", conditioning=True), 100)
    assert sizes == [1], "only asked whether it is ready"


def test_no_descriptor_is_left_open(heard: Heard) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names that may be gone
    one = heard.start("/dev/urandom")
    heard.bytes(one, 100)
    one.stop()
    assert one.join(PATIENCE)
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_stopping_twice(heard: Heard) -> None:
    one = heard.start("/dev/urandom")
    one.stop()
    one.stop()


# Two programs in one: the second is what the first becomes, while a thread hangs in a read that nothing ends.
HANGS = """
import os, sys, time
from ansible_collections.fleet.rng.plugins.module_utils.broker import pool, reader
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import SourceConfig

ends, hung = os.pipe(), []
def read(self, descriptor, size):
    hung.append(descriptor)
    return os.read(ends[0], size)
reader.Reader._read = read
one = pool.Pool([SourceConfig("/dev/urandom", "hardware"), SourceConfig("getrandom", "none")])
while not hung:
    time.sleep(0.001)
assert len(one.take(64)) == 64
if sys.argv[1] == "close":
    one.close()
if len(sys.argv) > 2:
    os.execv(sys.executable, [sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"])
print("ends")
"""


@pytest.mark.parametrize(("become", "said"), [([], "ends\n"), (["x"], "['0', '1', '2']\n")])
@pytest.mark.parametrize("close", ["close", "leave open"])
def test_a_thread_that_hangs_keeps_the_process_from_nothing(close: str, become: list[str], said: str) -> None:
    """As in a read of /dev/hwrng, which no poll tells of beforehand. A new program inherits none of its descriptors."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HANGS, close, *become]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == (said, "", 0)
