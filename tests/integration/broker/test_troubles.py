# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong around a broker while a guest of QEMU draws from it: the guest goes on, and somebody is told."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.broker.running import REQUEST, SIZE, Broker, Drawing, Line, connections, take, upgraded
from integration.broker.supervisor import Supervisor
from lab.process import PATIENCE, wait_for

KERNEL = {"source": "getrandom"}
MANY = 1000
ZEROS = 9  # more than the health tests let pass, whatever came before

# A disk of its own, which is full when the program starts, and gone when it ends.
ON_A_FULL_DISK = """\
mount -t tmpfs -o size=64k none "$1"
head -c 1M /dev/zero 2> /dev/null > "$1/filler" || :
exec 2>> "$1/log"
shift
exec "$@"
"""


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    """For all clients, and for the supervisor, which has the broker's end of them, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Broker:
    return Broker(tmp_path_factory.mktemp("broker"), "gold", conditioning=False)


@pytest.fixture(scope="module")
def supervisor(broker: Broker) -> Iterator[Supervisor]:
    assert not broker.run.exists()
    with broker.supervised(watchdog=60) as made:
        yield made
    assert made.faults == []


@pytest.fixture(scope="module")
def booted(broker: Broker, supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawing]:
    assert supervisor.ready
    with Drawing(tmp_path_factory.mktemp("guest"), "fleet-troubled", broker.socket("gold")) as made:
        yield made


@pytest.fixture
def guest(broker: Broker, booted: Drawing) -> Iterator[Drawing]:
    """It reads before and after the trouble, over the same connection."""
    broker.configure(sources=[KERNEL], when_failing="fallback")
    broker.reload()
    booted.read_on()
    booted.goes_on()
    (before,) = connections(broker.socket("gold"))
    yield booted
    broker.configure(sources=[KERNEL], when_failing="fallback")
    broker.reload()
    booted.goes_on()
    assert before in connections(broker.socket("gold"))


@pytest.fixture
def line(broker: Broker, guest: Drawing) -> Iterator[Line]:
    """A sound source, before the kernel's own."""
    with Line() as made:
        made.flow(os.urandom)
        broker.configure(sources=[{"source": made.path, "tests": "hardware"}, KERNEL])
        broker.reload()
        is_serving(broker)
        guest.goes_on()
        yield made


def is_serving(broker: Broker) -> None:
    """The first source of the list."""
    wait_for("the source to serve", lambda: broker.source()["state"] == "serving")


def logged(supervisor: Supervisor, event: str, **fields: Any) -> bool:
    lines = [json.loads(line) for line in supervisor.errors.splitlines() if line.endswith("}")]
    return any(line["event"] == event and fields.items() <= line.items() for line in lines)


def test_a_source_that_breaks_is_cut_off_and_another_serves(
    broker: Broker, supervisor: Supervisor, guest: Drawing, line: Line
) -> None:
    with broker.connect("gold") as client:
        answers = [take(client)]

        def is_cut_off() -> bool:
            answers.append(take(client))
            return broker.source()["state"] == "failed"

        line.flow(bytes)
        wait_for("the source to be cut off", is_cut_off)
        answers += [take(client) for dummy in range(100)]
    assert not any(bytes(ZEROS) in answer for answer in answers)
    guest.goes_on()
    first, second = broker.status()["sources"]
    assert (second["source"], second["state"], first["failures"]) == ("getrandom", "serving", 1)
    assert "failed a health test: repetition count" in first["why"]
    assert logged(supervisor, "source", level="error", state="cut off", source=line.path)
    assert logged(supervisor, "source", level="notice", state="serving", source="getrandom")
    metrics = broker.metrics()
    assert f'virtrngd_source_up{{source="{line.path}"}} 0' in metrics
    assert f'virtrngd_source_failures_total{{source="{line.path}"}} 1' in metrics
    assert 'virtrngd_source_serving{source="getrandom"} 1' in metrics
    line.flow(os.urandom)
    broker.reload()
    is_serving(broker)


def test_a_guest_may_wait_until_the_source_is_sound_again(
    broker: Broker, supervisor: Supervisor, guest: Drawing, line: Line
) -> None:
    broker.configure(when_failing="wait")
    broker.reload()
    is_serving(broker)
    line.flow(bytes)
    wait_for("the source to be cut off", lambda: broker.source()["state"] == "failed")
    wait_for("the guest to wait", lambda: broker.one("gold")["waiting"] == 1)
    assert [one["state"] for one in broker.status()["sources"]] == ["failed", "standby"]
    assert logged(supervisor, "source", state="waiting", message="no source is sound: guests wait")
    assert 'virtrngd_class_waiting{class="gold",parent=""} 1' in broker.metrics()
    drawn, served = guest.at_rest(), broker.one("gold")["requests"]
    line.flow(os.urandom)
    assert (guest.drawn, broker.one("gold")["requests"]) == (drawn, served)
    broker.reload()
    is_serving(broker)
    guest.goes_on()


def test_the_directory_of_the_sockets_is_removed(
    broker: Broker, supervisor: Supervisor, guest: Drawing, tmp_path: Path
) -> None:
    shutil.rmtree(broker.run.rename(tmp_path / "gone"))  # at once: else it is there again before the last file is gone
    wait_for("a new control socket", lambda: bool(broker.answer("status")))
    path = str(broker.socket("gold"))
    wait_for("a new socket", lambda: logged(supervisor, "socket opened again", socket=path))
    with broker.connect("gold") as client:
        assert take(client)
    guest.goes_on()


def test_the_directory_of_the_sockets_is_missing_at_the_start(
    broker: Broker, supervisor: Supervisor, guest: Drawing
) -> None:
    wait_for("what is open to be stored", lambda: len(supervisor.store) == 3)
    with supervisor.down():
        shutil.rmtree(broker.run)
    wait_for("a new control socket", lambda: bool(broker.answer("status")))
    wait_for("a new socket", broker.socket("gold").exists)
    with broker.connect("gold") as client:
        assert take(client)
    guest.goes_on()


def test_a_broken_configuration_is_refused(broker: Broker, supervisor: Supervisor, guest: Drawing) -> None:
    before = broker.one("gold")["rate"]
    for text, why in (('{"classes": [', "not JSON"), ('{"classes": [{"name": "gold", "rate": -1}]}', "rate: -1")):
        sound = broker.config.read_text()
        broker.config.write_text(text)
        assert why in broker.answer("reload")["error"]
        seen = supervisor.errors.count('"event": "reload failed"')
        supervisor.kill(signal.SIGHUP)
        wait_for("it to be said", lambda n=seen: supervisor.errors.count('"event": "reload failed"') > n)
        broker.config.write_text(sound)
        guest.goes_on()
    assert broker.one("gold")["rate"] == before
    assert logged(supervisor, "reload failed", level="error")


def test_clients_that_never_read(broker: Broker, supervisor: Supervisor, guest: Drawing) -> None:
    def resident() -> int:
        lines = Path(f"/proc/{supervisor.pid}/status").read_text().splitlines()
        return int(next(row for row in lines if row.startswith("VmRSS:")).split()[1])

    before = resident()
    with contextlib.ExitStack() as stack:
        for dummy in range(20):
            client = stack.enter_context(broker.connect("gold"))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    client.send(REQUEST * 1024)
        guest.goes_on()
        with broker.connect("gold") as other:
            assert len({take(other) for dummy in range(100)}) == 100
        assert resident() - before < 8 << 10, "KiB"
    wait_for("them to be forgotten", lambda: broker.status()["clients"] == 1)


def test_a_thousand_connections(broker: Broker, supervisor: Supervisor, guest: Drawing) -> None:
    broker.configure(clients_per_socket=MANY + 1)
    broker.reload()
    refused = broker.status()["refused"]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(broker.connect("gold")) for dummy in range(MANY)]
        for client in clients:
            client.sendall(REQUEST)
        answers = {client.recv(SIZE, socket.MSG_WAITALL) for client in clients}
        assert (len(answers), {len(answer) for answer in answers}) == (MANY, {SIZE})
        status = broker.status()
        assert (status["clients"], status["refused"]) == (MANY + 1, refused)
        with broker.connect("gold") as client:
            assert client.recv(1) == b"", "no more than the configuration allows"
        assert broker.status()["refused"] == refused + 1
        assert logged(supervisor, "refused", level="warning")
        guest.goes_on()
        with upgraded(broker, supervisor):
            for client in clients:
                assert take(client)
    wait_for("them to be forgotten", lambda: broker.status()["clients"] == 1)
    wait_for("the store to let them go", lambda: len(supervisor.store) == 3)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Who finds no room waits for it, and is not lost."""
    broker = Broker(tmp_path, "gold")
    with broker.alone(tmp_path / "log", "prlimit", "--nofile=64:64") as process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        early = [broker.connect("gold") for dummy in range(40)]
        late = [stack.enter_context(broker.connect("gold")) for dummy in range(40)]
        for client in (*early, *late):
            stack.enter_context(client)
            client.sendall(REQUEST)
        for client in early:
            assert len(client.recv(SIZE, socket.MSG_WAITALL)) == SIZE
        wait_for("it to be said", lambda: '"accept failed"' in (tmp_path / "log").read_text())
        for client in early:
            client.close()
        for client in late:
            assert len(client.recv(SIZE, socket.MSG_WAITALL)) == SIZE


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    broker = Broker(tmp_path, "gold", status_file=str(disk / "status.json"), metrics_file=str(disk / "metrics.txt"))
    words = ("unshare", "--mount", "sh", "-ec", ON_A_FULL_DISK, "sh", disk)
    with broker.alone(tmp_path / "errors", *words) as process:
        try:
            inside = Path(f"/proc/{process.pid}/root{disk}")
            with broker.connect("gold") as client:
                for dummy in range(20):
                    broker.reload()  # which is said
                    assert take(client)
            assert (inside / "log").read_bytes() == b""
            assert not (inside / "status.json").exists()
            (inside / "filler").unlink()
            broker.config.write_text("broken")
            process.send_signal(signal.SIGHUP)
            wait_for("a line of the log", lambda: b"\n" in (inside / "log").read_bytes())
            first = json.loads((inside / "log").read_text().splitlines()[0])
            assert first["lost"] >= 10, "it says how much nobody could read"
            wait_for("the status", (inside / "status.json").exists)
            assert json.loads((inside / "status.json").read_text())["classes"][0]["requests"] == 20
        finally:
            process.kill()
            process.wait(PATIENCE)
