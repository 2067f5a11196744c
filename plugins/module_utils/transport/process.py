# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU processes of this host, and what they have open: from /proc, without lsof.

Nothing here blocks on what a guest or its storage does. Of a process that is not QEMU only the name of its program is
read, and of QEMU's descriptors only those are looked at behind which a device can be: a disk may lie on a server that
does not answer.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
from dataclasses import dataclass
from itertools import islice
from typing import Dict, FrozenSet, Iterable, List, Optional, Tuple

from ..errors import GuestError

PROC = "/proc"
SEVERAL = 0  # in place of a pid: more than one process claims to be this guest
MAX_DESCRIPTORS = 16384  # of one process

_MAX_COMMAND_LINE = 1024 * 1024
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")
_DELETED = " (deleted)"

_MAX_TABLE = 64 * 1024 * 1024
_ESTABLISHED = "01"  # in /proc/net/tcp

# sock_diag(7)
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _DONE = 4, 20, 3
_DUMP_REQUEST = 0x301
_SHOW = 1 | 2 | 4  # name, file, peer
_ATTRIBUTE_NAME, _ATTRIBUTE_FILE, _ATTRIBUTE_PEER = 0, 1, 2
_MAX_ANSWER = 256 * 1024
_PATIENCE = 2.0  # seconds

Number = Tuple[int, int]


class NotAllowedError(GuestError):
    """Only root, and sometimes the owner, may look at the descriptors of a process."""


class NoProcessError(GuestError):
    """The process has ended."""


@dataclass(frozen=True)
class OpenDevice:
    """A character device that a process has open. ``path`` is where it was found when it was opened."""

    number: Number
    path: str


@dataclass(frozen=True)
class OpenFiles:
    """What a process has open, as far as it matters here: character devices, and sockets by inode.

    ``complete`` is false for a process with more descriptors than are looked at.
    """

    devices: Tuple[OpenDevice, ...] = ()
    sockets: FrozenSet[int] = frozenset()
    complete: bool = True


def qemu_processes() -> Dict[str, int]:
    """The pid of every QEMU process with a UUID on its command line, by that UUID; SEVERAL where two share one."""
    found: Dict[str, int] = {}
    for name in os.listdir(PROC):
        if name.isdigit() and _may_be_qemu(name):
            uuid = _uuid(_command_line(name))
            if uuid:
                found[uuid] = SEVERAL if uuid in found else int(name)
    return found


def qemu_command_lines() -> Dict[int, List[str]]:
    """The words of every QEMU process that is to be seen, by pid."""
    found = {int(name): _command_line(name) for name in os.listdir(PROC) if name.isdigit() and _may_be_qemu(name)}
    return {pid: words for pid, words in found.items() if words}


def user_of(pid: int) -> Optional[Tuple[int, int]]:
    """(uid, gid) that the process opens files with; None where that cannot be seen."""
    fields = dict(line.partition(":")[::2] for line in _text(f"{PROC}/{pid}/status", 65536).splitlines())
    try:
        return int(fields["Uid"].split()[3]), int(fields["Gid"].split()[3])
    except (KeyError, IndexError, ValueError):
        return None


def sole_uid(pid: int) -> Optional[int]:
    """The only user whose rights a QEMU has.

    :returns: None where that cannot be seen, where it is QEMU no more, and where it has the rights of several: whoever
        starts a setuid program chooses the words of a process that is root's in part.
    """
    fields = dict(line.partition(":")[::2] for line in _text(f"{PROC}/{pid}/status", 65536).splitlines())
    uids = fields.get("Uid", "").split()
    # In this order: it could have become another program, with the rights of that, before they were read.
    return int(uids[0]) if len(uids) == 4 and len(set(uids)) == 1 and _may_be_qemu(str(pid)) else None


def is_guest(pid: int, uuid: str) -> bool:
    """Whether the process is still the one of this guest, and not another that got its pid."""
    return _may_be_qemu(str(pid)) and _uuid(_command_line(str(pid))) == uuid.lower()


def open_files(pid: int, paths: Iterable[str] = ()) -> OpenFiles:
    """What a process has open under /dev and at other ``paths``, and its sockets.

    :raises NotAllowedError: without the rights for it.
    :raises NoProcessError: when the process has ended.
    """
    folder = f"{PROC}/{pid}/fd"
    elsewhere = {spelling for path in paths for spelling in (path, os.path.realpath(path))}
    devices: List[OpenDevice] = []
    sockets = set()
    names = _descriptors(pid, folder)
    for name in names[:MAX_DESCRIPTORS]:
        link = _link(f"{folder}/{name}")
        inode = _SOCKET.fullmatch(link)
        if inode:
            sockets.add(int(inode[1]))
            continue
        if link.endswith(_DELETED):
            link = link[: -len(_DELETED)]
        number = device_number(f"{folder}/{name}") if link.startswith("/dev/") or link in elsewhere else None
        if number:
            devices.append(OpenDevice(number, link))
    return OpenFiles(tuple(devices), frozenset(sockets), len(names) <= MAX_DESCRIPTORS)


def device_number(path: str) -> Optional[Number]:
    """(major, minor) of a character device; None for anything else, and where nothing is."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (os.major(status.st_rdev), os.minor(status.st_rdev)) if stat.S_ISCHR(status.st_mode) else None


def connected_tcp(pid: int, sockets: FrozenSet[int], host: str, port: int) -> Optional[bool]:
    """Whether one of the sockets is a TCP connection to this port, and to this host where it is given as an address.

    :returns: None when that cannot be read.
    """
    tables = [_text(f"{PROC}/{pid}/net/{name}", _MAX_TABLE) for name in ("tcp", "tcp6")]
    address = _kernel_address(host)
    for line in "".join(tables).splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[3] != _ESTABLISHED or not fields[9].isdigit() or int(fields[9]) not in sockets:
            continue
        peer, dummy, peer_port = fields[2].rpartition(":")
        if int(peer_port, 16) == port and address in ("", peer):
            return True
    return False if any(tables) else None


def connected_unix(pid: int, sockets: FrozenSet[int], path: str) -> Optional[bool]:
    """Whether one of the sockets is connected to the socket at this path, and somebody has accepted it.

    :returns: None when the kernel does not tell: it has to know unix_diag, and the process must be in our network
        namespace.
    """
    try:
        if os.stat(f"{PROC}/{pid}/ns/net").st_ino != os.stat(f"{PROC}/self/ns/net").st_ino:
            return None
        wanted = os.stat(path)  # without it the connection may still be there, but nobody could say to what
        of_host = unix_sockets()
    except OSError:
        return None
    file = (os.major(wanted.st_dev), os.minor(wanted.st_dev), wanted.st_ino & 0xFFFFFFFF)
    peers = [of_host.get(of_host.get(inode, UnixSocket()).peer, UnixSocket()) for inode in sockets]
    # The name as it was bound helps on file systems whose files do not have the numbers that stat() shows.
    return any(peer.file == file or peer.name in (path, os.path.realpath(path)) for peer in peers)


def _may_be_qemu(pid: str) -> bool:
    """By the program; who may not see that (it takes root) gets the benefit of the doubt, and no descriptors later."""
    try:
        program = os.path.basename(os.readlink(f"{PROC}/{pid}/exe"))
    except PermissionError:
        return True
    except OSError:  # ended, or a thread of the kernel
        return False
    return "qemu" in program or program in ("kvm", f"kvm{_DELETED}")


def _command_line(pid: str) -> List[str]:
    words = _text(f"{PROC}/{pid}/cmdline", _MAX_COMMAND_LINE).split("\0")
    program = os.path.basename(words[0])
    return words if "qemu" in program or program == "kvm" else []


def _uuid(words: List[str]) -> str:
    for option, value in zip(words, words[1:]):
        if option in ("-uuid", "--uuid") and _UUID.fullmatch(value.lower()):
            return value.lower()
    return ""


def _descriptors(pid: int, folder: str) -> List[str]:
    """The names of its descriptors, one more than are looked at where there are so many."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, MAX_DESCRIPTORS + 1)]
    except PermissionError as error:
        raise NotAllowedError(f"only root may see what process {pid} has open") from error
    except OSError as error:
        raise NoProcessError(f"process {pid} has ended") from error


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return ""


def _text(path: str, limit: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


def _kernel_address(host: str) -> str:
    """An address as /proc/net/tcp writes it; nothing for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, host)
        except OSError:
            continue
        return "".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", packed))
    return ""


@dataclass(frozen=True)
class UnixSocket:
    """A socket: its peer's inode, and what it is bound to, as a name and as (major, minor, lower half of the inode)."""

    peer: int = 0
    name: str = ""
    file: Optional[Tuple[int, int, int]] = None


def unix_sockets() -> Dict[int, UnixSocket]:
    """Every UNIX socket of our network namespace by its inode, asked of the kernel by sock_diag(7)."""
    found: Dict[int, UnixSocket] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE)
        every = 0xFFFFFFFF
        request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, every, 0, _SHOW, every, every)
        header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0)
        kernel.sendall(header + request)
        while True:
            data = kernel.recv(_MAX_ANSWER)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == _DONE:
                    return found
                if kind != _SOCK_DIAG_BY_FAMILY or length < 32:
                    raise OSError(errno.EOPNOTSUPP, "the kernel has no unix_diag")
                (inode,) = struct.unpack_from("=I", data, at + 20)
                found[inode] = _unix_socket(data[at + 32 : at + length])
                at += (length + 3) & ~3


def _unix_socket(attributes: bytes) -> UnixSocket:
    peer, name, file, at = 0, "", None, 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if kind == _ATTRIBUTE_PEER:
            (peer,) = struct.unpack_from("=I", attributes, at + 4)
        elif kind == _ATTRIBUTE_FILE:
            inode, device = struct.unpack_from("=II", attributes, at + 4)
            file = (device >> 20, device & 0xFFFFF, inode)
        elif kind == _ATTRIBUTE_NAME:
            name = os.fsdecode(attributes[at + 4 : at + length].rstrip(b"\0"))
        at += max(4, (length + 3) & ~3)
    return UnixSocket(peer, name, file)
