# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sources are safe for a guest: real files, devices and sockets, and stand-ins for what needs root to make."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import UnsafeSourceError
from ansible_collections.fleet.rng.plugins.module_utils.transport import source as transport

ROOT = os.geteuid() == 0
KIND = "only a character device is safe"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SECONDS", 0.1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that counts as one that only root can write to, as /dev is, whoever runs the tests."""
    real = os.stat

    def trusted(path: Any, **options: Any) -> Any:
        status = real(path, **options)
        near = Path(path) in tmp_path.parents or Path(path).is_relative_to(tmp_path)
        if near and stat.S_ISDIR(status.st_mode):
            return SimpleNamespace(st_mode=stat.S_IFDIR | 0o755, st_uid=0, st_rdev=0)
        return status

    monkeypatch.setattr(transport.os, "stat", trusted)
    return tmp_path


def refusal(path: Path | str, **options: Any) -> str:
    with pytest.raises(UnsafeSourceError) as caught:
        transport.check_source(Source("random", path=str(path)), **options)
    text = str(caught.value)
    assert text.startswith(f"source {path}: ")
    return text[len(f"source {path}: ") :]


def character_device(monkeypatch: pytest.MonkeyPatch, path: Path, major: int, minor: int) -> None:
    """Let a file count as a character device of this number; reading it still reads the file."""
    below = transport.os.stat
    path.touch()

    def stat_of(given: Any, **options: Any) -> Any:
        if str(given) == str(path):
            return SimpleNamespace(st_mode=stat.S_IFCHR | 0o600, st_rdev=os.makedev(major, minor), st_uid=0)
        return below(given, **options)

    monkeypatch.setattr(transport.os, "stat", stat_of)


@pytest.mark.parametrize("path", ["/dev/urandom", "/dev/random"])
def test_the_kernels_own(path: str) -> None:
    transport.check_source(Source("random", path=path))


def test_builtin_needs_nothing() -> None:
    transport.check_source(Source("builtin"))


def test_a_link_to_a_device(folder: Path) -> None:
    link = folder / "rng"
    link.symlink_to("/dev/urandom")
    transport.check_source(Source("random", path=str(link)))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory (a dangling link)"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links (a dangling link)"),
        (lambda path: path.mkdir(), f"is a directory, {KIND}"),
        (os.mkfifo, f"is a FIFO, {KIND}"),
        (lambda path: path.touch(), f"is a regular file, {KIND}"),
        (lambda path: path.write_bytes(os.urandom(4096)), f"is a regular file, {KIND}"),
        (lambda path: path.symlink_to("/etc/passwd"), f"is a regular file, {KIND}"),
    ],
    ids=["missing", "dangling", "loop", "directory", "FIFO", "empty", "file", "link to a file"],
)
def test_what_is_no_device(make: Any, why: str, folder: Path) -> None:
    make(folder / "rng")
    assert refusal(folder / "rng") == why


def test_a_socket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # the path of a socket has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("rng")
        assert refusal(folder / "rng") == f"is a socket, {KIND}"


@pytest.mark.parametrize(("name", "minor"), [("null", 3), ("zero", 5), ("full", 7)])
def test_devices_that_end_or_repeat(name: str, minor: int) -> None:
    assert refusal(f"/dev/{name}") == f"device 1:{minor} is no source of randomness"


@pytest.mark.parametrize(("major", "minor"), [(1, 1), (1, 2), (1, 4), (1, 11), (1, 3), (10, 130)], ids=str)
def test_a_node_is_judged_by_its_number_whatever_its_name(
    major: int, minor: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_read_some", lambda path: pytest.fail(f"{path} was opened"))
    character_device(monkeypatch, folder / "urandom", major, minor)
    assert refusal(folder / "urandom") == f"device {major}:{minor} is no source of randomness"


def test_every_watchdog_is_refused_unopened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_read_some", lambda path: pytest.fail(f"{path} was opened"))
    character_device(monkeypatch, folder / "watchdog7", 247, 7)
    read = os.readlink
    links = {"/sys/dev/char/247:7/subsystem": "../../../../class/watchdog"}
    monkeypatch.setattr(transport.os, "readlink", lambda path: links.get(path) or read(path))
    assert refusal(folder / "watchdog7") == "device 247:7 is no source of randomness"


@pytest.mark.skipif(not ROOT, reason="makes device nodes")
@pytest.mark.parametrize(("number", "why"), [((1, 9), ""), ((1, 3), "device 1:3 is no source of randomness")], ids=str)
def test_a_real_node(number: tuple[int, int], why: str, folder: Path) -> None:
    path = folder / "rng"
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(*number))
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        pytest.skip("this root may not use device nodes here")
    if why:
        assert refusal(path) == why
    else:
        transport.check_source(Source("random", path=str(path)))


@pytest.mark.parametrize("owner_and_mode", [(0, 0o777), (0, 0o1777), (0, 0o775), (1000, 0o755)], ids=str)
def test_a_directory_that_others_can_write_to(
    owner_and_mode: tuple[int, int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link could be swapped between the check and the guest's start."""
    (folder / "rng").symlink_to("/dev/urandom")
    below, (owner, mode) = transport.os.stat, owner_and_mode

    def stat_of(path: Any, **options: Any) -> Any:
        if str(path) == str(folder):
            return SimpleNamespace(st_mode=stat.S_IFDIR | mode, st_uid=owner, st_rdev=0)
        return below(path, **options)

    monkeypatch.setattr(transport.os, "stat", stat_of)
    why = f"others than root can write to {folder}, so it could become another file at any time"
    assert refusal(folder / "rng") == why
    # and also when that directory is only on the way
    (folder / "deep").mkdir()
    (folder / "deep" / "rng").symlink_to("/dev/urandom")
    assert refusal(folder / "deep" / "rng") == why


def test_a_directory_that_only_a_link_leads_through(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could put another one in the place of ``inner``, which itself is root's."""
    (folder / "home" / "inner").mkdir(parents=True)
    (folder / "home" / "inner" / "rng").symlink_to("/dev/urandom")
    (folder / "link").symlink_to("home/inner")
    below = transport.os.stat

    def stat_of(path: Any, **options: Any) -> Any:
        if str(path) == str(folder / "home"):
            return SimpleNamespace(st_mode=stat.S_IFDIR | 0o755, st_uid=1000, st_rdev=0)
        return below(path, **options)

    monkeypatch.setattr(transport.os, "stat", stat_of)
    assert refusal(folder / "link" / "rng").startswith(f"others than root can write to {folder / 'home'}, ")


def test_a_real_world_writable_directory() -> None:
    assert refusal("/tmp/no-such-rng").startswith("others than root can write to /tmp")  # noqa: S108 - nothing is written


@pytest.mark.parametrize("current", [None, "", "none", "none\n"], ids=repr)
def test_hwrng_without_a_hardware_rng(current: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if current is not None:
        (folder / "rng_current").write_text(current, encoding="ascii")
    monkeypatch.setattr(transport, "_HWRNG_CURRENT", str(folder / "rng_current"))
    character_device(monkeypatch, folder / "hwrng", 10, 183)
    assert refusal(folder / "hwrng") == "the kernel of this host has no hardware RNG selected (rng_current)"


def test_hwrng_with_a_hardware_rng(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "rng_current").write_text("tpm-rng-0\n", encoding="ascii")
    monkeypatch.setattr(transport, "_HWRNG_CURRENT", str(folder / "rng_current"))
    character_device(monkeypatch, folder / "hwrng", 10, 183)
    (folder / "hwrng").write_bytes(b"random")
    transport.check_source(Source("random", path=str(folder / "hwrng")))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (errno.ENODEV, "cannot be read: No such device"),
        (errno.EIO, "cannot be read: Input/output error"),
        (errno.ENODATA, "gives no bytes; a guest would freeze on it"),
    ],
)
def test_a_device_that_cannot_be_read(code: int, why: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_read_some", lambda path: code)
    character_device(monkeypatch, folder / "rng", 250, 0)
    assert refusal(folder / "rng") == why


def test_a_device_at_its_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    character_device(monkeypatch, folder / "rng", 250, 0)
    assert refusal(folder / "rng") == "gives no bytes; a guest would freeze on it"


def test_a_device_that_blocks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    try:
        character_device(monkeypatch, folder / "rng", 250, 0)
        real = os.open
        own = str(folder / "rng")
        os.set_blocking(reader, False)
        monkeypatch.setattr(
            transport.os, "open", lambda path, flags: os.dup(reader) if path == own else real(path, flags)
        )
        assert refusal(own) == "gives no bytes; a guest would freeze on it"
        threading.Timer(0.02, os.write, [writer, b"x"]).start()
        transport.check_source(Source("random", path=own))  # slow, but it gives
    finally:
        os.close(reader)
        os.close(writer)


def test_a_device_that_qemu_may_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_read_some", lambda path: errno.EACCES)
    character_device(monkeypatch, folder / "hwrng7", 250, 0)
    me = (os.geteuid(), os.getegid())
    assert refusal(folder / "hwrng7", qemu_user=me) == (
        f"QEMU (uid {me[0]}, gid {me[1]}) may not read it; a udev rule helps: "
        f'ENV{{DEVNAME}}=="{folder}/hwrng7", GROUP="{me[1]}", MODE="0640"; '
        "rng_host_permissions of the role rng_host sets one"
    )
    (folder / "link").symlink_to("hwrng7")
    character_device(monkeypatch, folder / "link", 250, 0)
    assert f'ENV{{DEVNAME}}=="{folder}/hwrng7", ' in refusal(folder / "link", qemu_user=me)


@pytest.mark.skipif(not ROOT, reason="changes the user")
def test_the_rights_of_qemu_are_tried_and_not_those_of_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "rng"
    character_device(monkeypatch, path, 250, 0)
    path.write_bytes(b"random")
    path.chmod(0o600)
    for above in (folder, *folder.parents):  # pytest keeps its directories to itself
        if not os.lstat(above).st_mode & stat.S_IXOTH:
            above.chmod(0o711)
    transport.check_source(Source("random", path=str(path)), (0, 0))
    assert refusal(path, qemu_user=(65534, 65534)).startswith("QEMU (uid 65534, gid 65534) may not read it")
    os.chown(path, 0, 65534)
    path.chmod(0o640)
    transport.check_source(Source("random", path=str(path)), (65534, 65534))
    assert os.geteuid() == 0


def test_egd_over_unix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = Source("egd", transport="unix", path="egd.sock")
    with pytest.raises(UnsafeSourceError, match=r"nobody accepts there \(No such file or directory\)"):
        transport.check_source(source)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("egd.sock")
        with pytest.raises(UnsafeSourceError, match=r"nobody accepts there \(Connection refused\)"):
            transport.check_source(source)
        server.listen(1)
        transport.check_source(source)


def test_egd_over_a_path_that_is_too_long_for_a_socket() -> None:
    with pytest.raises(UnsafeSourceError, match=r"nobody accepts there \(.*too long\)"):
        transport.check_source(Source("egd", transport="unix", path="/" + "x" * 500))


def test_egd_over_tcp() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        source = Source("egd", transport="tcp", host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(UnsafeSourceError, match=r"^source egd\+tcp://127.*: nobody accepts there"):
            transport.check_source(source)
        server.listen(1)
        transport.check_source(source)


def test_egd_over_udp_can_only_be_resolved() -> None:
    transport.check_source(Source("egd", transport="udp", host="127.0.0.1", port=9))


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"], ids=["empty label", "long label"])
def test_a_host_that_can_have_no_address(kind: str, host: str) -> None:
    with pytest.raises(UnsafeSourceError, match=r"is no valid host name$"):
        transport.check_source(Source("egd", transport=kind, host=host, port=1))


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*dummy: Any, **dummy_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(transport.socket, "getaddrinfo", unknown)
    with pytest.raises(UnsafeSourceError, match=r"^source egd\+udp://nowhere:1: Name or service not known$"):
        transport.check_source(Source("egd", transport="udp", host="nowhere", port=1))
