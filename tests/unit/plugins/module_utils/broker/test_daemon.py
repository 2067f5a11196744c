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
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.daemon import read_config
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle

PATIENCE = 60.0
MODULE_UTILS = Path(__file__).resolve().parents[5] / "plugins" / "module_utils"


def eventually(what: str, check: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.02)


class Running:
    """A daemon in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.program = directory / "virtrngd"
        self.install("1.0")
        self.program.with_name("virtrngctl").symlink_to(self.program)
        self.settings: dict[str, Any] = {
            "classes": [{"name": name, "sockets": [str(directory / f"{name}.sock")]} for name in ("gold", "silver")],
            "control": str(directory / "control.sock"),
            "status_file": str(directory / "status.json"),
            "metrics_file": str(directory / "metrics.txt"),
        }
        self.configure()
        self._process: subprocess.Popen[bytes] | None = None

    def install(self, version: str) -> None:
        text = bundle(MODULE_UTILS, "broker.main", "virtrngd", version)
        fresh = self.program.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def configure(self, **changes: Any) -> None:
        self.settings.update(changes)
        (self.directory / "c.json").write_text(json.dumps(self.settings))

    def start(self) -> Running:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/bin/env", "python3", "-I", self.program, "--config", "c.json"],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            eventually("the daemon answers", lambda: bool(self.status()))
        except BaseException:
            print((self.directory / "log").read_text(), self.ctl("status"))  # pytest shows it
            self.stop()
            raise
        return self

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / "log").read_text().splitlines()]

    def has_logged(self, event: str) -> bool:
        return any(line["event"] == event for line in self.log)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.program.with_name("virtrngctl"), "--socket", self.directory / "control.sock", *words]
        return subprocess.run(
            ["/usr/bin/env", "python3", "-I", *command], capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def status(self) -> dict[str, Any]:
        """What it answers on its control socket; empty while it does not."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            try:
                control.connect(str(self.directory / "control.sock"))
                control.sendall(b'{"command": "status"}\n')
                with control.makefile() as answers:
                    found: dict[str, Any] = json.loads(answers.readline())["status"]
            except OSError:  # also when it becomes another program in between
                return {}
        return found

    def connect(self, name: str) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(self.directory / f"{name}.sock"))
        return client

    def stop(self) -> int | None:
        if self._process is None:
            return None
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def take(client: socket.socket, size: int = 64) -> bytes:
    client.sendall(bytes([2, size]))
    got = b""
    while len(got) < size:
        more = client.recv(size - len(got))
        assert more, "the connection was closed"
        got += more
    return got


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
