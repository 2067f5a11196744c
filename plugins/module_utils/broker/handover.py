# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes over to the program's next self: its sockets, and what it knows of them.

There are two ways. On an upgrade the program replaces itself in its own process (``reexec``), which keeps every
descriptor open; what it knows goes with it in a sealed file in memory, never on a disk. After a crash systemd hands
back the sockets that it was given (``inherited``), and nothing else.

A lost connection can hang a guest for good. So whatever cannot be used of the state is said and left out, and the
sockets are found even when the state is lost.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import stat
from typing import Any, Callable, Dict, Iterable, List, Mapping, MutableMapping, Optional, Sequence, Tuple

from ..errors import RngError

VARIABLE = "VIRTRNGD_STATE"
VERSION = 1
LARGEST = 64 * 2**20  # bytes of a state

# What would end the program by default: held back while nobody is there to handle it.
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

_FIRST = 3  # the number of the first descriptor that systemd passes; below are the standard streams
_LISTEN = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_UNNAMED = "unknown"  # as systemd has it
_NOEXEC_SEAL = 0x0008  # MFD_NOEXEC_SEAL: kernels from 6.3 know it, and may be told to insist on it
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

Say = Callable[[str], Any]
Left = Tuple[socket.socket, str]  # a connection, and its name in systemd's store


class HandoverError(RngError):
    """The program cannot be replaced now; it goes on as it is."""


# In place ------------------------------------------------------------------------------------------------------------


def freeze(state: Mapping[str, Any], fds: Iterable[int] = ()) -> int:
    """Write a state, and which sockets go with it, to a sealed memfd that the next program inherits.

    :param state: fit for JSON. Its key ``fds`` is ours.
    :raises HandoverError: when it is not fit, is too large, or the kernel has no such files.
    """
    sockets = [[fd, _inode(fd)] for fd in dict.fromkeys(fds)]
    try:
        data = json.dumps({"version": VERSION, "sockets": sockets, "state": state}, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise HandoverError(f"the state cannot be handed over: {error}") from error
    if len(data) > LARGEST:
        raise HandoverError(f"the state has {len(data)} bytes; at most {LARGEST} can be handed over")
    memfd = _memfd()
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(memfd, rest) :]
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
        os.set_inheritable(memfd, True)
    except OSError as error:
        os.close(memfd)
        raise HandoverError(f"the state cannot be handed over: {error.strerror}") from error
    return memfd


def _memfd() -> int:
    if not hasattr(os, "memfd_create"):
        raise HandoverError("this Python has no memfd_create: the program can be restarted, not replaced in place")
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        try:
            return os.memfd_create("virtrngd-state", flags | _NOEXEC_SEAL)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return os.memfd_create("virtrngd-state", flags)
    except OSError as error:
        raise HandoverError(f"the kernel gives no file in memory (memfd_create): {error.strerror}") from error


def reexec(
    argv: Sequence[str],
    environ: Mapping[str, str],
    state: Mapping[str, Any],
    fds: Iterable[int],
    caught: Callable[[], Iterable[int]] = tuple,
) -> None:
    """Become the program ``argv``, in this process and with these sockets open; ``thaw`` is the other side.

    Signals are held back from here until the new program calls ``release``: one that came in between would end it.
    To be called in the main thread. Other threads are to block all signals, or they take them to the grave.

    :param caught: called at the last moment; the signals that came and that nobody has acted on: the new program will.
    :raises HandoverError: when that failed: all is as it was before.
    """
    fds = list(fds)
    memfd = freeze(state, fds)
    passed: List[int] = []
    held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        environ = {**environ, VARIABLE: str(memfd)}
        for fd in fds:
            if not _inode(fd):
                continue  # closed: the next program says so, which is no reason to stay the old one
            os.set_inheritable(fd, True)
            passed.append(fd)
        for number in caught():
            if number in SIGNALS:
                signal.raise_signal(number)  # to this thread, where it waits
        os.execve(argv[0], list(argv), environ)  # noqa: S606 - a shell is not wanted
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise HandoverError(f"cannot become {argv[0]}: {why}") from error
    finally:  # only a failure comes here
        for fd in passed:
            os.set_inheritable(fd, False)
        os.close(memfd)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def release() -> None:
    """Let the signals through that ``reexec`` held back: once the program handles them."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def thaw(environ: MutableMapping[str, str], say: Say) -> Optional[Dict[str, Any]]:
    """What the program before us in this process left, or None if there was none.

    The result's key ``fds`` lists the sockets that are there, close-on-exec again. Whatever else is not as it should be
    goes to ``say``. When the state itself cannot be used, the result has only ``fds``: every socket that was inherited.
    """
    given = environ.pop(VARIABLE, None)
    if given is None:
        return None
    try:
        state, sockets = _read(given)
    except HandoverError as error:
        found = _inherited_sockets()
        say(f"{error}; {len(found)} sockets were found without it")
        return {"fds": found}
    usable = []
    for fd, inode in sockets:
        if inode and _inode(fd) == inode:
            os.set_inheritable(fd, False)
            usable.append(fd)
        else:
            say(f"descriptor {fd} is not the socket that was handed over")
    state["fds"] = usable
    return state


def _read(given: str) -> Tuple[Dict[str, Any], List[Tuple[int, int]]]:
    memfd = int(given) if given.isdecimal() and len(given) < 10 else -1
    try:
        if fcntl.fcntl(memfd, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise HandoverError(f"the state in descriptor {memfd} is not sealed")
    except (OSError, ValueError) as error:  # not a file in memory: nothing that may be read or closed
        raise HandoverError(f"{VARIABLE} does not name a state") from error
    try:
        size = os.fstat(memfd).st_size
        if size > LARGEST:
            raise HandoverError(f"the state has {size} bytes, which is above {LARGEST}")
        document = json.loads(_all(memfd, size).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise HandoverError(f"the state cannot be read: {error}") from error
    finally:
        os.close(memfd)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise HandoverError(f"the state is not of version {VERSION}")
    state, sockets = document.get("state"), document.get("sockets")
    if not isinstance(state, dict) or not isinstance(sockets, list):
        raise HandoverError("the state has no sockets")
    if not all(isinstance(pair, list) and [type(part) for part in pair] == [int, int] for pair in sockets):
        raise HandoverError("the state has no list of sockets")
    return state, [tuple(pair) for pair in sockets]


def _all(memfd: int, size: int) -> bytes:
    parts: List[bytes] = []
    done = 0
    while done < size:
        part = os.pread(memfd, size - done, done)
        if not part:
            break
        parts.append(part)
        done += len(part)
    return b"".join(parts)


def _inode(fd: int) -> int:
    """What tells one socket from all others; 0 if this is none."""
    try:
        status = os.fstat(fd)
    except (OSError, OverflowError):
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else 0


def _inherited_sockets() -> List[int]:
    """Every socket that survived an exec, but for the standard streams."""
    found = []
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return []
    for fd in sorted(int(name) for name in names):
        if fd >= _FIRST and _inode(fd) and os.get_inheritable(fd):
            os.set_inheritable(fd, False)
            found.append(fd)
    return found


# From systemd --------------------------------------------------------------------------------------------------------


def inherited(environ: MutableMapping[str, str], pid: int) -> List[Tuple[int, str]]:
    """The descriptors that systemd gave to this process, with their names: of socket units, and what it kept for us.

    The variables are taken out of the environment, and the descriptors are close-on-exec afterwards.
    """
    count, whose, names = (environ.pop(name, "") for name in _LISTEN[:3])
    environ.pop(_LISTEN[3], None)
    if whose != str(pid) or not count.isdecimal() or len(count) > 6:
        return []
    labels = names.split(":")
    if len(labels) != int(count):
        labels = [_UNNAMED] * int(count)
    found = []
    for fd, label in enumerate(labels, _FIRST):
        try:
            os.set_inheritable(fd, False)
        except OSError:
            continue  # closed meanwhile
        found.append((fd, label))
    return found


# Sockets -------------------------------------------------------------------------------------------------------------


def adopt(fd: int) -> Optional[socket.socket]:
    """The stream socket behind a descriptor; None if it is anything else, and the descriptor stays open then."""
    if not _inode(fd):
        return None
    sock = socket.socket(fileno=fd)
    if sock.family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
        return sock
    sock.detach()
    return None


def listening(sock: socket.socket) -> bool:
    """Whether a socket takes connections, and is none itself."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def address(sock: socket.socket) -> str:
    """Where a socket listens, or where its connection was accepted: a path, @ and an abstract name, tcp://host:port.

    Empty when it has no name, or is broken.
    """
    try:
        name = sock.getsockname()
    except OSError:
        return ""
    if isinstance(name, bytes):
        return "@" + name[1:].decode("utf-8", "backslashreplace")
    if isinstance(name, str):
        return name
    host, port = name[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def sort(found: Iterable[Tuple[int, str]], say: Say) -> Tuple[Dict[str, socket.socket], List[Left]]:
    """Of descriptors with their names the listening sockets, by address, and the connections; none of them blocks."""
    listening_by_address: Dict[str, socket.socket] = {}
    connections: List[Left] = []
    for fd, name in found:
        sock = adopt(fd)
        if sock is None:
            say(f"descriptor {fd} is no stream socket")
            continue
        sock.setblocking(False)
        if listening(sock):
            listening_by_address[address(sock)] = sock
        else:
            connections.append((sock, name))
    return listening_by_address, connections
