# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling systemd: over real sockets, full ones and ones that nobody has any more, too."""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.notify import Notifier


class Listening:
    """systemd's end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        self.socket.setblocking(False)

    def receive(self) -> tuple[str, list[int]]:
        data, rights, dummy_flags, dummy_address = self.socket.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        fds = array.array("i")
        for dummy_level, dummy_type, sent in rights:
            fds.frombytes(sent)
        return data.decode(), list(fds)

    def all(self) -> list[str]:
        """The messages so far; descriptors in them are closed."""
        found = []
        while True:
            try:
                text, fds = self.receive()
            except BlockingIOError:
                return found
            found.append(text)
            for fd in fds:
                os.close(fd)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Listening]:
    listening = Listening(str(tmp_path / "notify"))
    with listening.socket:
        yield listening


@pytest.fixture
def notifier(manager: Listening) -> Iterator[Notifier]:
    made = Notifier({"NOTIFY_SOCKET": manager.name})
    yield made
    made.close()


@pytest.fixture
def fill(manager: Listening) -> Iterator[Callable[[], None]]:
    """Make systemd's socket take no more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)

        def send() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(b"STATUS=full", manager.name)

        yield send


def test_what_is_said(manager: Listening, notifier: Notifier) -> None:
    assert notifier
    before = time.monotonic_ns() // 1000
    notifier.ready()
    notifier.status("3 guests\nREADY=1 \x1b[2J")
    notifier.reloading()
    notifier.stopping()
    ready, status, reloading, stopping = manager.all()
    assert (ready, stopping) == ("READY=1", "STOPPING=1")
    assert status == r"STATUS=3 guests\x0aREADY=1 \x1b[2J"
    first, second = reloading.split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert (notifier.lost, notifier.waiting) == (0, 0)


def test_a_socket_is_stored_and_forgotten(manager: Listening, notifier: Notifier) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        notifier.store("c.1", theirs.fileno())
        text, (fd,) = manager.receive()
        assert text == "FDSTORE=1\nFDNAME=c.1"
        with socket.socket(fileno=fd) as kept:
            theirs.close()
            ours.sendall(b"\x02\x40")
            assert kept.recv(10) == b"\x02\x40"
    notifier.forget("c.1")
    assert manager.all() == ["FDSTOREREMOVE=1\nFDNAME=c.1"]


def test_a_socket_that_systemd_is_not_to_watch(manager: Listening, notifier: Notifier) -> None:
    with socket.socket() as kept:
        notifier.store("gold", kept.fileno(), poll=False)
    assert manager.all() == ["FDSTORE=1\nFDNAME=gold\nFDPOLL=0"]


def test_an_abstract_socket() -> None:
    listening = Listening(f"@fleet-rng-notify-{os.getpid()}")
    with listening.socket:
        notifier = Notifier({"NOTIFY_SOCKET": listening.name})
        notifier.ready()
        notifier.close()
        notifier.ready()
        assert not notifier
        assert listening.all() == ["READY=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "x"}])
def test_nobody_wants_to_hear(environ: dict[str, str]) -> None:
    notifier = Notifier({**environ, "WATCHDOG_USEC": "1000000"})
    assert not notifier
    assert notifier.fileno() == -1
    notifier.ready()
    notifier.status("x")
    notifier.reloading()
    notifier.stopping()
    notifier.store("a", 0)
    notifier.forget("a")
    assert notifier.watchdog() is None
    assert notifier.flush()
    assert (notifier.waiting, notifier.lost) == (0, 0)
    notifier.close()


@pytest.mark.parametrize("limit", [True, False])
def test_without_a_descriptor_for_it(monkeypatch: pytest.MonkeyPatch, limit: bool) -> None:
    def full(*dummy: object) -> None:
        raise OSError(24, "Too many open files")

    if limit:
        monkeypatch.setattr(socket, "socket", full)
    notifier = Notifier({"NOTIFY_SOCKET": "/nonexistent/notify"})
    notifier.ready()
    assert (notifier.lost, notifier.waiting) == ((1, 0) if limit else (0, 1))
    notifier.close()


# The watchdog --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "77"}, 1.5),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 30}, None),
        ({}, None),
    ],
)
def test_who_is_watched(environ: dict[str, str], interval: float | None, manager: Listening) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name, **environ}, 77)
    assert notifier.interval == interval
    notifier.close()


def test_signs_of_life(manager: Listening) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "4000000"})
    assert [notifier.watchdog(now) for now in (100.0, 100.5, 101.9)] == [2.0, 1.5, pytest.approx(0.1)]
    assert manager.all() == ["WATCHDOG=1"]
    assert [notifier.watchdog(now) for now in (102.0, 109.0)] == [2.0, 2.0]
    assert manager.all() == ["WATCHDOG=1", "WATCHDOG=1"]
    assert 0 < (notifier.watchdog() or 0) <= 2.0
    notifier.close()


# Later ---------------------------------------------------------------------------------------------------------------


def test_a_full_socket_gets_the_rest_later(manager: Listening, notifier: Notifier, fill: Callable[[], None]) -> None:
    """Each socket to be kept, in order; of the words for people the last ones; a pair of words in its order."""
    fill()
    with socket.socket() as one, socket.socket() as two:
        notifier.store("one", one.fileno())
        notifier.status("first")
        notifier.ready()
        notifier.store("two", two.fileno())
        for dummy in range(3):
            notifier.reloading()
            notifier.ready()
        notifier.status("last")
        assert notifier.waiting == 5
        assert not notifier.flush()
        assert set(manager.all()) == {"STATUS=full"}
        while not notifier.flush():
            pass
        assert [text.split("\n")[-1] if "FD" in text else text.split("\n")[0] for text in manager.all()] == [
            *("FDNAME=one", "FDNAME=two", "RELOADING=1", "READY=1", "STATUS=last"),
        ]
    assert notifier.lost == 0


def test_room_for_the_rest_is_told(manager: Listening, notifier: Notifier, fill: Callable[[], None]) -> None:
    """As an edge, without anything that has to be changed whenever something waits."""
    with contextlib.closing(select.epoll()) as epoll, socket.socket() as kept:
        epoll.register(notifier.fileno(), select.EPOLLOUT | select.EPOLLET)
        notifier.ready()
        fill()
        for number in range(30):
            notifier.store(f"c{number}", kept.fileno())
        assert notifier.waiting == 30
        assert notifier.unstored() == [f"c{number}" for number in range(30)]
        epoll.poll(0)
        assert epoll.poll(0) == []
        heard: list[str] = []
        while notifier.waiting:
            heard += manager.all()
            assert epoll.poll(10) != []
            notifier.flush()
        assert notifier.unstored() == []
        heard += manager.all()
    assert [text for text in heard if "FD" in text] == [f"FDSTORE=1\nFDNAME=c{number}" for number in range(30)]


def test_the_next_word_brings_what_waits(manager: Listening, notifier: Notifier, fill: Callable[[], None]) -> None:
    fill()
    notifier.ready()
    manager.all()
    notifier.status("x")
    assert manager.all() == ["READY=1", "STATUS=x"]


def test_what_was_never_stored_need_not_be_forgotten(
    manager: Listening, notifier: Notifier, fill: Callable[[], None]
) -> None:
    with socket.socket() as one, socket.socket() as two:
        notifier.store("a", one.fileno())
        assert manager.all() == ["FDSTORE=1\nFDNAME=a"]
        fill()
        notifier.store("b", two.fileno())
        notifier.forget("b")
        notifier.forget("a")
        notifier.store("a", two.fileno())
        notifier.forget("a")
        notifier.store("a", one.fileno())
        assert notifier.waiting == 2
        manager.all()
        assert notifier.flush()
        assert manager.all() == ["FDSTOREREMOVE=1\nFDNAME=a", "FDSTORE=1\nFDNAME=a"]


def test_a_manager_that_is_replaced(tmp_path: Path) -> None:
    first = Listening(str(tmp_path / "notify"))
    notifier = Notifier({"NOTIFY_SOCKET": first.name})
    first.socket.close()
    notifier.ready()
    Path(first.name).unlink()
    notifier.status("x")
    assert notifier.waiting == 2
    second = Listening(first.name)
    with second.socket:
        assert notifier.flush()
        assert second.all() == ["READY=1", "STATUS=x"]
    notifier.close()


def test_a_descriptor_that_was_closed_holds_up_nobody(
    manager: Listening, notifier: Notifier, fill: Callable[[], None]
) -> None:
    fill()
    with socket.socket() as closed:
        notifier.store("a", closed.fileno())
    notifier.status("x")
    manager.all()
    assert notifier.flush()
    assert manager.all() == ["STATUS=x"]
    assert notifier.lost == 1


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "ä", "x" * 256, "a\0"])
def test_names_that_systemd_does_not_take(name: str, manager: Listening, notifier: Notifier) -> None:
    notifier.store(name, 0)
    notifier.forget(name)
    assert manager.all() == []
    assert notifier.lost == 1
