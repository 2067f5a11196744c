# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing over for real: files in memory, sockets, processes that become another program."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import handover
from ansible_collections.fleet.rng.plugins.module_utils.broker.handover import HandoverError
from hypothesis import given
from hypothesis import strategies as st

TREE = Path(handover.__file__).parents[6]
PATIENCE = 60
PRELUDE = f"""\
import json, os, signal, socket, sys, threading, time
sys.path.insert(0, {str(TREE)!r})
from ansible_collections.fleet.rng.plugins.module_utils.broker import handover
"""
# Becomes itself with the socket whose number is its argument, and answers there what it then found.
BECOMES = (
    PRELUDE
    + """\
fd = int(sys.argv[1])
complaints = []
state = handover.thaw(os.environ, complaints.append)
if state is None:
    os.environ["WHO"] = str(os.getpid())
    execve = os.execve
    def interrupted(*arguments):
        signal.raise_signal(signal.SIGTERM)
        execve(*arguments)
    os.execve = interrupted
    other = socket.socketpair()
    other[0].sendall(b"of its own")
    gone = os.dup(fd)
    os.close(gone)
    numbers = [fd, *(one.fileno() for one in other)]
    me = [sys.executable, __file__, str(fd)]
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # takes the signals that main() blocks
    before_exec = lambda: [signal.SIGCHLD, signal.SIGHUP]
    state = {"numbers": numbers, "levels": {"gold": 1.5}}
    handover.reexec(me, os.environ, state, [*numbers, gone], before_exec)
caught = []
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
    signal.signal(number, lambda number, dummy: caught.append(signal.Signals(number).name))
before = list(caught)
handover.release()
inheritable = [os.get_inheritable(one) for one in state["fds"]]
client, dummy, kept = map(handover.adopt, state["numbers"])
found = {
    "same process": os.environ["WHO"] == str(os.getpid()), "state": state, "complaints": len(complaints),
    "request": client.recv(100).decode(), "kept": kept.recv(100).decode(), "before": before,
    "caught": sorted(caught),
    "inheritable": inheritable, "left in the environment": handover.VARIABLE in os.environ,
}
client.sendall(json.dumps(found).encode())
"""
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# In place ------------------------------------------------------------------------------------------------------------


def test_a_program_becomes_another_and_loses_nothing(pair: Pair, tmp_path: Path) -> None:
    """Not the connection, not the request that nobody has read, and not a signal that comes in the meantime."""
    program = tmp_path / "program.py"
    program.write_text(BECOMES)
    ours, theirs = pair
    ours.sendall(b"\x02\x40")
    fd = theirs.fileno()
    done = subprocess.run(
        [sys.executable, program, str(fd)], pass_fds=[fd], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(ours.recv(65536))
    numbers = found["state"]["numbers"]
    assert found == {
        "same process": True,
        "state": {"numbers": numbers, "levels": {"gold": 1.5}, "fds": numbers},
        "complaints": 1,  # of the descriptor that was closed
        "request": "\x02@",
        "kept": "of its own",
        "before": [],
        "caught": ["SIGHUP", "SIGTERM"],
        "inheritable": [False, False, False],
        "left in the environment": False,
    }


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["/nonexistent/virtrngd"], "No such file or directory"),
        (["/"], "Permission denied"),
        (["/bin/true", "a\0b"], "embedded null byte"),
    ],
)
def test_a_failed_exec_leaves_all_as_it_was(argv: list[str], why: str, pair: Pair) -> None:
    before, mask = descriptors(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    fds = [one.fileno() for one in pair]
    with pytest.raises(HandoverError, match=f"cannot become {argv[0]}: {why}"):
        handover.reexec(argv, {}, {}, fds)
    assert [os.get_inheritable(fd) for fd in fds] == [False, False]
    assert descriptors() == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


def test_signals_are_handled_by_who_stays() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, dummy: caught.append(number))
    try:
        with pytest.raises(HandoverError):
            handover.reexec(["/nonexistent"], {}, {}, [], lambda: [signal.SIGUSR2])
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert caught == [signal.SIGUSR2]


def test_a_state_goes_through_memory(pair: Pair) -> None:
    state = {"text": "ä\udcff🎲", "levels": {"a": [1, 2.5, None]}}
    fd = pair[0].fileno()
    memfd = handover.freeze(state, [fd, fd])
    assert os.get_inheritable(memfd)
    with pytest.raises(PermissionError):
        os.write(memfd, b"x")
    os.set_inheritable(fd, True)
    environ = {handover.VARIABLE: str(memfd), "HOME": "/"}
    assert handover.thaw(environ, pytest.fail) == {**state, "fds": [fd]}
    assert environ == {"HOME": "/"}
    assert not os.get_inheritable(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(memfd)
    assert handover.thaw(environ, pytest.fail) is None


@pytest.mark.parametrize("state", [{"a": {1, 2}}, {"a": b"x"}])
def test_a_state_that_is_not_json_is_refused(state: dict[str, Any]) -> None:
    before = descriptors()
    with pytest.raises(HandoverError, match="the state cannot be handed over"):
        handover.freeze(state)
    assert descriptors() == before


def test_a_large_state_is_refused_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "LARGEST", 3)
    with pytest.raises(HandoverError, match="at most 3 can be handed over"):
        handover.freeze({})
    dummy, (said,) = from_memory(b"{}  ")
    assert "4 bytes, which is above 3" in said


def test_a_python_without_files_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(HandoverError, match="can be restarted, not replaced in place"):
        handover.freeze({})


def test_a_kernel_without_files_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*dummy: object) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", missing)
    with pytest.raises(HandoverError, match="Function not implemented"):
        handover.freeze({})


def test_a_kernel_that_does_not_know_the_newest_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.memfd_create

    def old(name: str, flags: int) -> int:
        if flags & ~(os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(name, flags)

    monkeypatch.setattr(os, "memfd_create", old)
    environ = {handover.VARIABLE: str(handover.freeze({"a": 1}))}
    assert handover.thaw(environ, pytest.fail) == {"a": 1, "fds": []}


def memfd(text: bytes, seal: bool = True) -> int:
    made = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(made, text)
    if seal:
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, seals)
    return made


def from_memory(text: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    said: list[str] = []
    return handover.thaw({handover.VARIABLE: str(memfd(text))}, said.append), said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100000, "cannot be read"),
        (b"[]", "not of version 1"),
        (b'{"version": 2, "state": {}, "sockets": []}', "not of version 1"),
        (b'{"version": 1, "sockets": []}', "no sockets"),
        (b'{"version": 1, "state": {}, "sockets": 3}', "no sockets"),
        (b'{"version": 1, "state": {}, "sockets": [3]}', "no list of sockets"),
        (b'{"version": 1, "state": {}, "sockets": [[3, "4"]]}', "no list of sockets"),
        (b'{"version": 1, "state": {}, "sockets": [[3, true]]}', "no list of sockets"),
    ],
)
def test_the_sockets_are_found_without_a_state(text: bytes, complaint: str, pair: Pair) -> None:
    """Only those that went through an exec: what a program opens itself is not inheritable."""
    ours, theirs = pair
    ours.set_inheritable(True)
    before = descriptors()
    found, (said,) = from_memory(text)
    assert complaint in said
    assert found is not None
    assert list(found) == ["fds"]
    assert ours.fileno() in found["fds"]
    assert theirs.fileno() not in found["fds"]
    assert not ours.get_inheritable()
    assert descriptors() == before


@pytest.mark.parametrize("given", ["", "x", "-1", "0", "1 ", "99999", "9" * 30, "²"])
def test_a_variable_that_names_no_state(given: str) -> None:
    said: list[str] = []
    found = handover.thaw({handover.VARIABLE: given}, said.append)
    assert found is not None
    assert list(found) == ["fds"]
    assert "does not name a state" in said[0] or "is not sealed" in said[0]


def test_a_file_that_others_may_write_is_no_state(tmp_path: Path) -> None:
    """And it is not closed: nobody knows whose it is."""
    open_file = memfd(b'{"version": 1, "state": {}, "sockets": []}', seal=False)
    with (tmp_path / "file").open("w") as file:
        for fd, complaint in ((open_file, "is not sealed"), (file.fileno(), "does not name a state")):
            said: list[str] = []
            handover.thaw({handover.VARIABLE: str(fd)}, said.append)
            assert complaint in said[0]
            os.fstat(fd)
    os.close(open_file)


def test_what_is_not_the_same_socket_is_left_out(pair: Pair) -> None:
    ours, theirs = pair
    replaced = os.dup(ours.fileno())
    closed = os.dup(ours.fileno())
    frozen = handover.freeze({}, [ours.fileno(), replaced, closed])
    os.dup2(theirs.fileno(), replaced)
    os.close(closed)
    said: list[str] = []
    assert handover.thaw({handover.VARIABLE: str(frozen)}, said.append) == {"fds": [ours.fileno()]}
    assert said == [f"descriptor {fd} is not the socket that was handed over" for fd in (replaced, closed)]
    os.close(replaced)


@pytest.mark.parametrize("pairs", [[[-1, 5]], [[2**40, 5]], [[0, 0]], [[10**30, 10**30]]])
def test_numbers_that_are_no_descriptors(pairs: list[list[int]]) -> None:
    text = json.dumps({"version": 1, "state": {"a": 1}, "sockets": pairs}).encode()
    found, said = from_memory(text)
    assert found == {"a": 1, "fds": []}
    assert len(said) == 1


ANY = st.recursive(st.none() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))


@given(st.fixed_dictionaries({"version": st.just(1), "state": ANY, "sockets": ANY}))
def test_no_state_breaks_the_program(document: dict[str, Any]) -> None:
    found, dummy = from_memory(json.dumps(document).encode())
    assert found is not None
    assert "fds" in found


# From systemd --------------------------------------------------------------------------------------------------------

ASKS = (
    PRELUDE
    + """\
for number, fd in enumerate(json.loads(sys.argv[1]), 3):
    os.dup2(fd, number)
environ = {name: value.replace("PID", str(os.getpid())) for name, value in json.loads(sys.argv[2]).items()}
found = handover.inherited(environ, os.getpid())
print(json.dumps([found, environ, [os.get_inheritable(fd) for fd, dummy in found]]))
"""
)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, []),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "PID", "LISTEN_FDNAMES": "gold:c1"}, [[3, "gold"], [4, "c1"]]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "PID"}, [[3, "unknown"], [4, "unknown"]]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "PID", "LISTEN_FDNAMES": "gold"}, [[3, "unknown"], [4, "unknown"]]),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "PID", "LISTEN_FDNAMES": ""}, [[3, ""]]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "gold:c1", "LISTEN_PIDFDID": "7"}, []),
        ({"LISTEN_FDS": "2"}, []),
        ({"LISTEN_FDS": "0", "LISTEN_PID": "PID"}, []),
        ({"LISTEN_FDS": "-1", "LISTEN_PID": "PID"}, []),
        ({"LISTEN_FDS": "two", "LISTEN_PID": "PID"}, []),
        ({"LISTEN_FDS": "9" * 20, "LISTEN_PID": "PID"}, []),
    ],
)
def test_what_systemd_gave(environ: dict[str, str], found: list[list[Any]], pair: Pair) -> None:
    fds = [one.fileno() for one in pair]
    done = subprocess.run(
        [sys.executable, "-c", ASKS, json.dumps(fds), json.dumps({**environ, "HOME": "/"})],
        pass_fds=fds,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout) == [found, {"HOME": "/"}, [False] * len(found)]


def test_descriptors_that_systemd_gave_and_nobody_has() -> None:
    environ = {"LISTEN_FDS": "999999", "LISTEN_PID": "5", "LISTEN_FDNAMES": ""}
    code = f"{PRELUDE}print(len(handover.inherited({environ!r}, 5)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=PATIENCE, check=True)
    assert int(done.stdout) < 100


# Sockets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "bound", "shown"),
    [
        (socket.AF_UNIX, "/{path}/gold.sock", "/{path}/gold.sock"),
        (socket.AF_UNIX, "\0fleet-rng-{pid}", "@fleet-rng-{pid}"),
        (socket.AF_INET, ("127.0.0.1", 0), "tcp://127.0.0.1:{port}"),
        (socket.AF_INET6, ("::1", 0), "tcp://[::1]:{port}"),
    ],
)
def test_a_listener_and_its_connections(family: int, bound: Any, shown: str, tmp_path: Path) -> None:
    place = {"path": str(tmp_path)[1:], "pid": os.getpid()}
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind(bound.format(**place) if isinstance(bound, str) else bound)
        listener.listen()
        client.connect(listener.getsockname())
        with listener.accept()[0] as connection:
            port = listener.getsockname()[1]
            for one, listens in ((listener, True), (connection, False)):
                found = handover.adopt(os.dup(one.fileno()))
                assert found is not None
                with found:
                    assert handover.listening(found) is listens
                    assert handover.address(found) == shown.format(**place, port=port)


def test_a_socket_without_a_name(pair: Pair) -> None:
    assert handover.address(pair[0]) == ""
    broken = socket.socket()
    broken.close()
    assert handover.address(broken) == ""


def test_what_is_not_a_stream_is_not_adopted() -> None:
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        for fd in (reading, writing, datagrams.fileno()):
            assert handover.adopt(fd) is None
            os.fstat(fd)  # still open
    os.close(reading)
    os.close(writing)
    assert handover.adopt(writing) is None
