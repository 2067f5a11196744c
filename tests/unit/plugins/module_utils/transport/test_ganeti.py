# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket of a master that answers as it likes, and the command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.transport import ganeti as transport
from ansible_collections.fleet.rng.plugins.module_utils.transport.ganeti import Master

Serve = Callable[..., list[Any]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A function that lets a master answer with these pieces, and gives the list of what it was asked."""
    path = str(tmp_path / "s")
    monkeypatch.setattr(transport, "SOCKETS", (str(tmp_path / "none"), path))
    threads = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def start(*pieces: bytes, hang: bool = False) -> list[Any]:
        asked: list[Any] = []

        def answer() -> None:
            connection, dummy = listener.accept()
            with connection:
                data = b""
                while not data.endswith(b"\3"):
                    data += connection.recv(65536)
                asked.append(json.loads(data[:-1]))
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                    while hang and connection.recv(1):
                        pass
                except OSError:  # it hung up
                    pass

        threads.append(threading.Thread(target=answer, daemon=True))
        threads[-1].start()
        return asked

    yield start
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    listener.close()


def test_questions(serve: Serve) -> None:
    asked = serve(b'{"success": true, ', b'"result": [1]}', b"\3")
    assert Master().cluster() == [1]
    assert asked == [{"method": "QueryClusterInfo", "args": []}]
    asked = serve(b'{"success": true, "result": {}}\3')
    assert Master().instances(["name"]) == {}
    assert asked == [{"method": "Query", "args": ["instance", ["name"], None]}]
    asked = serve(b'{"success": true, "result": {}}\3')
    Master().instances(["name"], "some-uuid")
    assert asked == [{"method": "Query", "args": ["instance", ["name"], ["=", "uuid", "some-uuid"]]}]
    asked = serve(b'{"success": true, "result": [["success", []]]}\3')
    assert Master().job(7) == [["success", []]]
    assert asked == [{"method": "QueryJobs", "args": [[7], ["status", "opresult"]]}]
    asked = serve(b'{"success": true, "result": [false, "no"]}\3')
    assert Master().cancel(7) == [False, "no"]
    assert asked == [{"method": "CancelJob", "args": [7]}]
    asked = serve(b'{"success": true, "result": {"data": []}}\3')
    assert Master().unfinished() == {"data": []}
    assert asked[0]["args"][:2] == ["job", ["summary"]]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "hung up"),
        (b'{"success": true', "hung up"),
        (b"\3", "cannot be understood"),
        (b"\xff\3", "cannot be understood"),
        (b"[]\3", "cannot be understood"),
        (b"[" * 100000 + b"\3", "cannot be understood"),
        (b'{"success": true}\3', "cannot be understood"),
        (b'{"success": false, "result": "bad \\u001b[31m thing"}\3', r'refuses: "bad \\u001b\[31m thing"'),
        (b'{"success": 1, "result": 1}\3', "refuses"),
        (b"x" * 2000, "more than 1000 bytes"),
    ],
)
def test_answers_that_are_none(serve: Serve, answer: bytes, why: str) -> None:
    serve(answer)
    with pytest.raises(HypervisorError, match=why):
        Master(limit=1000 if len(answer) < 100000 else 200000).cluster()


def test_a_master_that_hangs(serve: Serve) -> None:
    serve(b"{", hang=True)
    with pytest.raises(HypervisorError, match=r"did not answer within 0\.2 seconds"):
        Master(seconds=0.2).cluster()


def test_one_that_nobody_answers_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    monkeypatch.setattr(transport, "SOCKETS", (str(path),))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(HypervisorError, match=r"\(ganeti-luxid\) is not to be reached: .*refused"):
        Master().cluster()


def test_who_is_the_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ssconf_master_node"
    monkeypatch.setattr(transport, "SOCKETS", (str(tmp_path / "none"),))
    monkeypatch.setattr(transport, "_MASTER_FILES", (str(tmp_path / "other"), str(file)))
    with pytest.raises(HypervisorError, match="there is no Ganeti cluster here"):
        Master().cluster()
    file.write_text("node1.example.org\n")
    with pytest.raises(HypervisorError, match=r"not the master of its Ganeti cluster: node1\.example\.org is, run it"):
        Master().cluster()
    file.write_text(f"{socket.gethostname()}\n")
    with pytest.raises(HypervisorError, match="but its ganeti-luxid does not run"):
        Master().cluster()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A function that puts a gnt-instance in the path: it writes its words to a file, and does what a script says."""

    def install(script: str) -> Path:
        program = tmp_path / "gnt-instance"
        program.write_text(f'#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done > {tmp_path}/words\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "words"

    return install


def test_changes(command: Callable[[str], Path]) -> None:
    words = command("echo JobID: 4 >&2")
    parameters = "kvm_extra=-a 'b' \"c\"\\, $(d) `e` \\\\ \n*"
    assert "JobID: 4\n" in Master().modify("vm1", parameters)
    assert words.read_text().split("\0") == ["modify", "--submit", "-H", parameters, "--", "vm1", ""]


def test_restarts(command: Callable[[str], Path]) -> None:
    words = command("echo JobID: 5 >&2")
    assert "JobID: 5" in Master().reboot("vm1", 30)
    assert words.read_text().split("\0")[:-1] == [
        *("reboot", "--submit", "--type=hard", "--shutdown-timeout=30"),
        *("--", "vm1"),
    ]
    assert "JobID: 5" in Master().start("vm1")
    assert words.read_text().split("\0")[:-1] == ["startup", "--submit", "--", "vm1"]


def test_changes_that_are_refused(command: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    words = command("printf 'Failure: prerequisites\\033 not met\\nno such thing\\n' >&2; exit 1")
    with pytest.raises(GuestError, match=r"^gnt-instance: Failure: prerequisites\\x1b not met; no such thing$"):
        Master().modify("vm1", "x=y")
    words.unlink()
    with pytest.raises(GuestError, match="NUL"):
        Master().modify("vm1", "x=\0")
    assert not words.exists()
    command("exit 5")
    with pytest.raises(GuestError, match="gnt-instance: exit code 5"):
        Master().modify("vm1", "x=y")
    monkeypatch.setattr(transport.shutil, "which", lambda name, path: None)
    with pytest.raises(HypervisorError, match="there is no gnt-instance here"):
        Master().modify("vm1", "x=y")


def test_the_words_of_a_process() -> None:
    words = ["/bin/sh", "-c", "echo ready; read x", "", "a b"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert transport.command_line(process.pid) == words
        process.communicate()
    assert transport.command_line(2**22 + 1) == [], "a pid that no process can have"
