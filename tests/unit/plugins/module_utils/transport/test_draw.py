# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of sources, on pipes and sockets that behave and that do not. Pipes stand in for devices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import MissingSourceError, UnsafeSourceError
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import Limits
from ansible_collections.fleet.rng.plugins.module_utils.kernel.sources import Drawn
from ansible_collections.fleet.rng.plugins.module_utils.transport import draw

PATIENCE = Limits(60, 4096)  # for a source that gives all of it; the test does not wait so long

# An EGD server for one client: it answers so many requests, and then keeps silent or hangs up.
EGD = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
client = server.accept()[0]
for left in range(int(sys.argv[2])):
    command, size = client.recv(2)
    assert command == 2
    client.sendall(bytes(size))
if sys.argv[3] == "close":
    sys.exit()
client.recv(2)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _any_file_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "check_openable", lambda path: None)
    monkeypatch.setattr(draw, "GRACE", 60.0)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Source, int]]:
    """A named pipe, and a descriptor that keeps it open."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield Source("random", path=str(path)), descriptor
    os.close(descriptor)


def draw_one(source: Source, limits: Limits = PATIENCE) -> Drawn:
    return draw.draw_all([source], limits)[0]


def test_all_bytes_and_none_more(pipe: tuple[Source, int]) -> None:
    source, descriptor = pipe
    sent = os.urandom(5000)
    assert os.write(descriptor, sent) == 5000
    drawn = draw_one(source)
    assert (drawn.outcome, drawn.count, drawn.sample) == ("complete", 4096, sent[:4096])
    assert 0 < drawn.last <= drawn.seconds
    assert os.read(descriptor, 5000) == sent[4096:], "the rest was left to others"


def test_a_source_that_blocks_after_some_bytes(pipe: tuple[Source, int]) -> None:
    source, descriptor = pipe
    os.write(descriptor, b"x" * 100)
    drawn = draw_one(source, Limits(1, 4096))
    assert (drawn.outcome, drawn.count, drawn.sample, drawn.seconds) == ("time up", 100, b"x" * 100, 1.0)
    assert drawn.last < 1


def test_all_sources_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    events = []

    class Reader:
        def __init__(self, source: Source, limits: Limits) -> None:
            assert limits is PATIENCE
            self.name = source.path
            events.append(f"start {self.name}")

        def is_done(self) -> bool:
            events.append(f"ask {self.name}")
            return self.name == "/a" or events.count("ask /b") == 2

        def drawn(self) -> Drawn:
            return Drawn(self.name)

    monkeypatch.setattr(draw, "_Reader", Reader)
    found = draw.draw_all([Source("random", path=path) for path in ("/a", "/b")], PATIENCE)
    assert [one.outcome for one in found] == ["/a", "/b"]
    assert events == ["start /a", "start /b", "ask /a", "ask /b", "ask /b"]


def test_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"y" * 300)
    drawn = draw_one(Source("random", path=str(tmp_path / "file")))
    assert (drawn.outcome, drawn.count) == ("end of file", 300)


def test_a_read_that_fails(tmp_path: Path) -> None:
    drawn = draw_one(Source("random", path=str(tmp_path)))
    assert (drawn.outcome, drawn.why) == ("error", "cannot be read: Is a directory")


@pytest.mark.parametrize(("error", "outcome"), [(UnsafeSourceError, "unsafe"), (MissingSourceError, "missing")])
def test_what_is_not_safe_is_not_opened(
    error: type[UnsafeSourceError], outcome: str, pipe: tuple[Source, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, descriptor = pipe
    os.write(descriptor, b"z")

    def check(path: str) -> None:
        raise error(f"source {path}: is not what it seems")

    monkeypatch.setattr(draw, "check_openable", check)
    drawn = draw_one(source)
    assert (drawn.outcome, drawn.why, drawn.count) == (outcome, "is not what it seems", 0)
    assert os.read(descriptor, 1) == b"z"


def test_the_kernel_itself() -> None:
    drawn = draw_one(Source("builtin"), Limits(60, 65536))
    assert (drawn.outcome, len(drawn.sample)) == ("complete", 65536)
    assert len(set(drawn.sample)) == 256


def test_only_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "SAMPLE", 300)
    drawn = draw_one(Source("builtin"))
    assert (drawn.outcome, drawn.count, len(drawn.sample)) == ("complete", 4096, 300)


@pytest.mark.parametrize(
    ("answers", "then", "limits", "outcome", "count"),
    [
        (1000, "stay", PATIENCE, "complete", 4096),
        (1, "stay", Limits(3, 4096), "time up", 64),
        (1, "close", PATIENCE, "end of file", 64),
    ],
)
def test_an_egd_server(answers: int, then: str, limits: Limits, outcome: str, count: int, tmp_path: Path) -> None:
    path = str(tmp_path / "egd")
    command = [sys.executable, "-c", EGD, path, str(answers), then]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        drawn = draw_one(Source("egd", transport="unix", path=path), limits)
        server.kill()
    if then == "close" and drawn.outcome == "error":  # it went with a request unread
        assert drawn.why in ("cannot be read: Broken pipe", "cannot be read: Connection reset by peer")
    else:
        assert (drawn.outcome, drawn.count) == (outcome, count)


def test_egd_without_a_server(tmp_path: Path) -> None:
    drawn = draw_one(Source("egd", transport="unix", path=str(tmp_path / "egd")))
    assert (drawn.outcome, drawn.why) == ("missing", "cannot be read: No such file or directory")


def test_egd_over_udp() -> None:
    drawn = draw_one(Source("egd", transport="udp", host="localhost", port=1))
    assert (drawn.outcome, drawn.why) == ("error", "a source over UDP cannot be tested")


def test_no_host_of_that_name() -> None:
    drawn = draw_one(Source("egd", transport="tcp", host="a" * 64, port=1))
    assert (drawn.outcome, drawn.why) == ("error", "is no valid host name")


@pytest.fixture
def immortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Readers that a signal does not end, as one that hangs in the kernel; the signals that were sent to them."""
    sent: list[int] = []
    kill = os.kill
    monkeypatch.setattr(draw.os, "kill", lambda pid, number: sent.append(pid))
    monkeypatch.setattr(draw, "GRACE", 0.1)
    yield sent
    for pid in sent:
        kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_reader_that_hangs_in_the_kernel_is_left_behind(immortal: list[int], pipe: tuple[Source, int]) -> None:
    source, descriptor = pipe
    os.write(descriptor, b"w" * 7)
    drawn = draw_one(source, Limits(1, 256))
    assert (drawn.outcome, drawn.count) == ("hangs", 7)
    assert drawn.why == f"reading it hangs in the kernel, and cannot be ended (process {immortal[0]})"
    assert len(immortal) == 1, "it is killed once"


def test_a_path_that_hangs_in_the_kernel(
    immortal: list[int], pipe: tuple[Source, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "LOOKING", 0.0)
    monkeypatch.setattr(draw, "check_openable", lambda path: time.sleep(600))
    drawn = draw_one(pipe[0], Limits(1, 256))
    assert drawn.outcome == "hangs"
    assert drawn.why == f"looking at it hangs in the kernel, and cannot be ended (process {immortal[0]})"


def test_a_path_that_can_be_given_up(pipe: tuple[Source, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "LOOKING", 0.0)
    monkeypatch.setattr(draw, "check_openable", lambda path: time.sleep(600))
    drawn = draw_one(pipe[0], Limits(1, 256))
    assert (drawn.outcome, drawn.why) == ("time up", "no end of looking at it within 1 s")


def test_a_fault_in_the_reader_is_told(pipe: tuple[Source, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(path: str) -> Any:
        raise RuntimeError(path)

    monkeypatch.setattr(draw, "check_openable", fault)
    drawn = draw_one(pipe[0])
    assert (drawn.outcome, drawn.why) == ("error", "the reader ended by itself: a fault of this collection")


def test_a_parent_that_was_started_to_ignore_its_children(pipe: tuple[Source, int]) -> None:
    source, descriptor = pipe
    os.write(descriptor, bytes(300))
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        drawn = draw_one(source, Limits(60, 256))
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (drawn.outcome, drawn.count) == ("complete", 256)


def test_a_reader_keeps_nothing_of_ours_open(pipe: tuple[Source, int]) -> None:
    """Who waits for the end of the module's output must not wait for a reader that hangs."""
    inside, outside = os.pipe()
    reader = draw._Reader(pipe[0], Limits(60, 256))
    os.close(outside)
    while not reader._board.begun:
        reader._board.read()
        time.sleep(0.01)
    try:
        assert os.read(inside, 1) == b"", "nobody else has the other end"
    finally:
        os.kill(reader.pid, signal.SIGKILL)
        os.waitpid(reader.pid, 0)
        os.close(inside)
