# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole program, started as on a host: signals, commands, and the change into its next self."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import question
from ansible_collections.fleet.rng.plugins.module_utils.broker.daemon import read_config
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.daemon_running import (
    PATIENCE,
    Running,
    eventually,
    take,
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made.start()
    made.stop()


def test_a_configuration_that_cannot_be_read_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(RngError, match=r"missing\.json: No such file"):
        read_config(str(tmp_path / "missing.json"))
    large = tmp_path / "large.json"
    large.write_text(" " * (1 << 20) + "{}")
    with pytest.raises(RngError, match="longer than 1048576 bytes"):
        read_config(str(large))
    large.write_text("{}" + "é" * (1 << 20))
    with pytest.raises(RngError, match="longer than 1048576 bytes"):
        read_config(str(large))
    large.write_bytes(b"\xff{}")
    with pytest.raises(RngError, match=r"large\.json: "):
        read_config(str(large))


def test_it_serves_counts_and_stops(daemon: Running) -> None:
    with daemon.connect("gold") as client:
        assert len({take(client) for dummy in range(10)}) == 10
        status = daemon.status()
        assert status["clients"] == 1
        classes = {one["name"]: one for one in status["classes"]}
        assert (classes["gold"]["bytes"], classes["gold"]["requests"], classes["silver"]["bytes"]) == (640, 10, 0)
        assert [guest["bytes"] for guest in status["guests"]] == [640]
        eventually("the files are written", (daemon.directory / "metrics.txt").exists)
        assert json.loads((daemon.directory / "status.json").read_text())["schema"] == status["schema"]
    assert daemon.stop() == 0
    assert not any(line["level"] == "error" for line in daemon.log)


def test_many_upgrades_keep_every_connection_and_count_on(daemon: Running) -> None:
    rounds, guests = 10, 5
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect("gold")) for dummy in range(guests)]
        for number in range(1, rounds + 1):
            for client in clients:
                client.sendall(b"\x02\x40")  # also while it changes
            if number % 2:
                daemon.signal(signal.SIGUSR2)
                eventually("the upgrade", lambda done=number: daemon.status().get("restarts") == done)
            else:
                assert daemon.ctl("upgrade").returncode == 0
            for client in clients:
                assert len(client.recv(64, socket.MSG_WAITALL)) == 64
        status = daemon.status()
    assert (status["restarts"], status["clients"]) == (rounds, guests)
    assert next(one["bytes"] for one in status["classes"] if one["name"] == "gold") == rounds * guests * 64
    assert sum(guest["bytes"] for guest in status["guests"]) == rounds * guests * 64


def test_who_asks_at_that_moment_is_answered_by_the_next(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []

    def becomes_another(text: Any) -> str:
        """Between its accept and the question."""
        questions.append(json.dumps(text))
        if len(questions) == 1:
            assert daemon.status()["restarts"] == 0
            daemon.signal(signal.SIGUSR2)
            eventually("the upgrade", lambda: daemon.status().get("restarts") == 1)
        return questions[-1]

    monkeypatch.setattr(question, "json", SimpleNamespace(dumps=becomes_another, loads=json.loads))
    answer = question.ask_again(str(daemon.directory / "control.sock"), "status")
    assert answer["status"]["restarts"] == 1
    assert len(questions) == 2, "the first connection was lost"


def test_an_upgrade_takes_the_program_that_is_installed(daemon: Running) -> None:
    daemon.install("2.0")
    assert daemon.status()["version"] == "1.0"
    assert daemon.ctl("upgrade").returncode == 0
    assert daemon.status()["version"] == "2.0"


@pytest.mark.parametrize("broken", ["raise SystemExit('broken')", "this is no Python", "import no_such_module"])
def test_a_broken_program_never_replaces_one_that_runs(daemon: Running, broken: str) -> None:
    with daemon.connect("gold") as client:
        sound = daemon.program.read_text()
        daemon.program.write_text(broken)
        daemon.signal(signal.SIGUSR2)
        eventually("it is said", lambda: daemon.has_logged("upgrade failed"))
        assert len(take(client)) == 64
        daemon.program.write_text(sound)
        assert daemon.ctl("upgrade").returncode == 0
        assert len(take(client)) == 64


def test_a_broken_configuration_changes_nothing(daemon: Running) -> None:
    sound = daemon.settings["classes"]
    with daemon.connect("gold") as client:
        daemon.configure(classes=[{"name": "gold", "rate": -1}])
        for command in ("reload", "upgrade"):
            answer = daemon.ctl(command)
            assert answer.returncode == 1
            assert "classes[gold].rate: -1" in answer.stderr
        daemon.signal(signal.SIGHUP)
        eventually("it is said", lambda: daemon.has_logged("reload failed"))
        assert len(take(client)) == 64
        assert len(daemon.status()["classes"]) == 2
        daemon.configure(classes=sound)
        assert daemon.ctl("reload").returncode == 0


def test_it_tells_which_configuration_it_has_read(daemon: Running) -> None:
    def written() -> str:
        return hashlib.sha256((daemon.directory / "c.json").read_bytes()).hexdigest()

    first = written()
    assert daemon.status()["configuration"] == first
    daemon.configure(clients_per_socket=7)  # which nothing else of the status tells
    assert daemon.status()["configuration"] == first != written()
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["configuration"] == written()
    daemon.configure(clients_per_socket=8)
    assert daemon.ctl("upgrade").returncode == 0
    assert daemon.status()["configuration"] == written()
    daemon.configure(clients_per_socket=-1)
    assert daemon.ctl("reload").returncode == 1
    assert daemon.status()["configuration"] != written(), "it goes on with the other"


def test_an_upgrade_leaves_no_descriptor_behind(daemon: Running) -> None:
    def opened() -> int:
        return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))

    before = opened()
    for dummy in range(3):
        assert daemon.ctl("upgrade").returncode == 0
    eventually("no more is open than before", lambda: opened() <= before)


def test_a_reload_changes_classes_under_their_clients(daemon: Running) -> None:
    gold = daemon.settings["classes"][0]
    with daemon.connect("gold") as client, daemon.connect("silver") as other:
        take(client)
        take(other)
        daemon.configure(
            classes=[{**gold, "rate": 1000}, {"name": "bronze", "sockets": [str(daemon.directory / "b.sock")]}]
        )
        assert daemon.ctl("reload").returncode == 0
        classes = {one["name"]: one for one in daemon.status()["classes"]}
        assert classes["gold"]["rate"] == 1000
        assert classes["gold"]["bytes"] == 64
        assert len(take(client)) == 64
        assert len(take(other)) == 64, "a client of a class that is gone is served on"
        with daemon.connect("b") as late:
            assert len(take(late)) == 64
        daemon.signal(signal.SIGUSR2)
        eventually("the upgrade", lambda: daemon.status().get("restarts") == 1)
        assert len(take(other)) == 64, "and after a restart in place"
        assert not (daemon.directory / "silver.sock").exists()


def test_a_client_follows_its_socket_into_another_class(daemon: Running) -> None:
    path = str(daemon.directory / "gold.sock")
    with daemon.connect("gold") as client:
        take(client)
        daemon.configure(classes=[{"name": "bronze", "rate": 64, "sockets": [path]}])
        assert daemon.ctl("reload").returncode == 0
        assert len(take(client)) == 64
        assert {one["name"]: one["bytes"] for one in daemon.status()["classes"]} == {"bronze": 64}
        daemon.configure(classes=[{"name": "bronze"}, {"name": "own", "parent": "bronze", "sockets": [path]}])
        assert daemon.ctl("reload").returncode == 0
        assert len(take(client)) == 64
        assert {one["name"]: one["bytes"] for one in daemon.status()["classes"]} == {"bronze": 128, "own": 64}


def test_a_reload_changes_who_may_use_which_socket(daemon: Running) -> None:
    sockets = [daemon.directory / f"{name}.sock" for name in ("control", "gold")]
    daemon.configure(control_mode="0640", socket_mode="0604")
    daemon.signal(signal.SIGHUP)
    eventually("it is said", lambda: daemon.has_logged("reloaded"))
    assert [path.stat().st_mode & 0o777 for path in sockets] == [0o640, 0o604]
    daemon.configure(control_group="fleet-rng-no-such-group")
    answer = daemon.ctl("reload")
    assert (answer.returncode, "no group fleet-rng-no-such-group" in answer.stderr) == (1, True)


def refuses(daemon: Running) -> bool:
    """Whether it has no place for another connection of this process."""
    with daemon.connect("silver") as client:
        try:
            client.sendall(b"\x02\x40")
            return client.recv(64) == b""
        except ConnectionError:  # it was closed before we asked, or read
            return True


def test_an_upgrade_keeps_count_of_the_places_that_a_process_has(daemon: Running) -> None:
    daemon.configure(clients_per_process=3)
    assert daemon.ctl("reload").returncode == 0
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect("gold")) for dummy in range(3)]
        eventually("all have a place", lambda: daemon.status()["clients"] == 3)
        assert refuses(daemon)
        for number in (1, 2):
            assert daemon.ctl("upgrade").returncode == 0
            assert refuses(daemon)
            assert daemon.status()["refused"] == number + 1, "and counts on"
        for client in clients:
            assert len(take(client)) == 64
        clients[0].close()
        eventually("its place is free", lambda: daemon.status()["clients"] == 2)
        assert not refuses(daemon)


def test_after_a_crash_the_places_are_counted_again(tmp_path: Path) -> None:
    """Then nothing is known but the sockets that systemd kept."""
    daemon = Running(tmp_path)
    daemon.configure(clients_per_process=3)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(tmp_path / "gold.sock"))
        listener.listen()
        clients, left = [], [listener]
        for dummy in range(3):
            clients.append(stack.enter_context(daemon.connect("gold")))
            left.append(stack.enter_context(listener.accept()[0]))
        stack.callback(daemon.start([one.fileno() for one in left]).stop)
        for one in left:
            one.close()
        assert [len(take(client)) for client in clients] == [64] * 3
        assert refuses(daemon)
        clients[0].close()
        eventually("its place is free", lambda: daemon.status()["clients"] == 2)
        assert not refuses(daemon)


def test_a_fault_in_what_a_signal_asks_for_does_not_end_it(daemon: Running) -> None:
    """Here no child can be started, as there is no descriptor left for that."""
    with daemon.connect("gold") as client:
        take(client)  # so it is accepted
        resource.prlimit(
            daemon.pid, resource.RLIMIT_NOFILE, (len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())), 4096)
        )
        daemon.signal(signal.SIGUSR2)
        eventually("it is said", lambda: daemon.has_logged("upgrade failed"))
        assert len(take(client)) == 64
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (1024, 4096))
        assert daemon.ctl("upgrade").returncode == 0


def test_a_source_can_be_changed_by_a_reload(daemon: Running) -> None:
    with daemon.connect("gold") as client:
        take(client)
        daemon.configure(sources=[{"source": "/dev/urandom"}])
        assert daemon.ctl("reload").returncode == 0
        assert len(take(client)) == 64
        assert [one["source"] for one in daemon.status()["sources"]] == ["/dev/urandom"]


def test_it_does_not_start_beside_another(daemon: Running) -> None:
    second = subprocess.run(
        ["/usr/bin/env", "python3", "-I", daemon.program, "--config", "c.json"],
        cwd=daemon.directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 1
    assert "somebody listens there already" in second.stderr
    assert "Traceback" not in second.stderr
    with daemon.connect("gold") as client:
        assert len(take(client)) == 64


def test_what_cannot_be_written_does_not_hurt(daemon: Running) -> None:
    daemon.configure(status_file=str(daemon.directory / "missing" / "status.json"), metrics_file="/proc/metrics")
    assert daemon.ctl("reload").returncode == 0
    eventually("it is said", lambda: daemon.has_logged("status not written"))
    with daemon.connect("gold") as client:
        assert len(take(client)) == 64
    assert Path("/dev/full").is_char_device()
