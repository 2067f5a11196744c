# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's guests of plain QEMU, without QEMU: their files, the script that starts them, and their sockets."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from lab import GuestSpec, Lab, LabSpec, QemuGuest, sockets
from lab.domain import GuestNet
from lab.host import INSIDE
from lab.network import Network
from lab.qemu import command_line

NET = GuestNet("10.57.6.0/22", "52:54:0a:39:06:00", "AAAAkey")


def values(words: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(words) if name == option]


def test_a_guest_has_what_the_modules_need() -> None:
    words = command_line("q1", GuestSpec("web1", spare_ports=2))
    assert values(words, "-qmp") == ["unix:/run/qemu/web1.qmp,server=on,wait=off"]
    assert values(words, "-readconfig") == ["/etc/qemu/web1.cfg"]
    ports = [n for n, word in enumerate(words) if word.startswith("pcie-root-port")]
    assert len(ports) == 2
    assert max(ports) < words.index("-readconfig")
    assert words.index("virtio-serial-pci") < words.index("virtserialport,chardev=qga0,name=org.qemu.guest_agent.0")


@pytest.mark.parametrize(
    ("guest", "net", "there", "missing"),
    [
        (GuestSpec("a", "pc"), None, "-kernel", "pcie-root-port,id=rp1,chassis=1"),
        (GuestSpec("a", "microvm"), None, "-kernel", "virtio-serial-pci"),
        (GuestSpec("a", firmware_only=True), None, "virtio-serial-pci", "-kernel"),
        (GuestSpec("a", ssh=True), NET, "/run/lab/images/ssh.initrd", "/run/lab/images/agent.initrd"),
        (GuestSpec("a"), None, "/run/lab/images/agent.initrd", "-netdev"),
    ],
)
def test_a_guest_is_as_described(guest: GuestSpec, net: GuestNet | None, there: str, missing: str) -> None:
    words = command_line("q1", guest, net)
    assert there in words
    assert missing not in words


def test_a_guest_has_files_on_its_host(tmp_path: Path) -> None:
    guests = {"web1": {"readconfig": "# theirs\n", "os_name": "a 'b'"}, "a.b": {}}
    lab = Lab(
        LabSpec.parse({"hosts": {"q1": {"kind": "qemu", "guests": guests}, "hv1": {"guests": {"c": {}}}}}), tmp_path
    )
    lab._populate(Network(3))
    assert not isinstance(lab.guest("c"), QemuGuest)
    files = lab.host("q1").directory / "qemu"
    files.mkdir(parents=True)
    lab._define(lab.host("q1"))
    assert sorted(path.name for path in files.iterdir()) == ["a.b.cfg", "a.b.start", "web1.cfg", "web1.start"]
    assert (files / "web1.cfg").read_text() == "# theirs\n"
    spec = lab.guest("web1").spec
    assert shlex.split((files / "web1.start").read_text()) == ["exec", *command_line("q1", spec)]


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """The script that starts guests, with a guest that is a sleep."""
    (tmp_path / "web1.start").write_text(f"sleep 600 < /dev/null > /dev/null 2>&1 & echo $! > {tmp_path}/web1.pid")
    script = (INSIDE / "qemu-guest.sh").read_text()
    for place in ("/etc/qemu", "/run/qemu"):
        script = script.replace(place, str(tmp_path))

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-s", command, "web1"], input=script, capture_output=True, text=True, timeout=60, check=False
        )

    yield run
    run("stop")


def test_the_script_is_like_a_unit(unit: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    def pid() -> str:
        return (tmp_path / "web1.pid").read_text()

    assert (unit("status").returncode, unit("status").stdout) == (3, "web1 is off\n")
    assert unit("start").returncode == 0
    first = pid()
    assert unit("start").returncode == 0
    assert pid() == first
    assert unit("status").stdout == "web1 runs\n"
    assert unit("restart").returncode == 0
    assert pid() != first
    (tmp_path / "web1.qmp").touch()
    assert unit("stop").returncode == unit("stop").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["web1.start"]
    assert unit("burn").returncode == 2


GREETING = {"QMP": {"version": {}}}


def serve(path: Path, *lines: object) -> None:
    """Answer the one client to come with these lines; ``sync`` is the number that it gave."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def talk() -> None:
        with server, server.accept()[0] as client, client.makefile("rwb") as stream:
            asked: dict[str, Any] = {}
            for line in lines:
                if line != GREETING and not (isinstance(line, dict) and "event" in line):
                    asked = json.loads(stream.readline())
                answer = {"return": asked["arguments"]["id"]} if line == "sync" else line
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()

    threading.Thread(target=talk, daemon=True).start()


EVENT = {"event": "RTC_CHANGE"}


def test_a_question_to_a_monitor(tmp_path: Path) -> None:
    serve(tmp_path / "a.qmp", GREETING, {"return": {}}, EVENT, {"return": {"running": True}})
    assert sockets.ask(str(tmp_path / "a.qmp"), "query-status", timeout=60) == {"running": True}


def test_a_question_to_an_agent(tmp_path: Path) -> None:
    serve(tmp_path / "a.qga", "sync", {"return": 7})
    assert sockets.ask(str(tmp_path / "a.qga"), "guest-file-open", {"path": "/x"}, timeout=60) == 7


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([GREETING, {"return": {}}, {"error": {"class": "GenericError", "desc": "no such thing"}}], "no such thing"),
        ([GREETING, {"return": {}}, []], r"\[\]"),
        ([GREETING], "closed|Broken pipe|reset"),
    ],
)
def test_no_answer_is_an_error(lines: list[object], why: str, tmp_path: Path) -> None:
    serve(tmp_path / "a.qmp", *lines)
    with pytest.raises(sockets.SocketError, match=why):
        sockets.ask(str(tmp_path / "a.qmp"), "query-status", timeout=60)


def test_the_program(tmp_path: Path) -> None:
    serve(tmp_path / "a.qmp", GREETING, {"return": {}}, {"return": [1]})
    program = [sys.executable, sockets.__file__]
    asked = subprocess.run([*program, tmp_path / "a.qmp", "x", "{}"], capture_output=True, timeout=60, check=False)
    assert json.loads(asked.stdout) == [1]
    failed = subprocess.run([*program, tmp_path / "b", "x"], capture_output=True, timeout=60, check=False)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert b"No such file" in failed.stderr
