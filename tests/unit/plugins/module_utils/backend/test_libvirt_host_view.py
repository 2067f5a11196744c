# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's view of a guest: a process that is made up, and a QEMU that answers from a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import host_view
from ansible_collections.fleet.rng.plugins.module_utils.backend import libvirt_host_view as backend
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice, ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.transport import process
from ansible_collections.fleet.rng.plugins.module_utils.transport.libvirt import DomainEntry

UUID = "6b1f1f0e-6c1c-4f0b-9a55-3f0f0c9d6a10"
ENTRY = DomainEntry(None, "web1", UUID, running=True)
RECORDED = json.loads((Path(__file__).parents[3] / "cases/qom/recorded.json").read_text(encoding="utf-8"))
PID = 4711
URANDOM, RANDOM, HWRNG = (1, 9), (1, 8), (10, 183)
NAMES = {"/dev/urandom": URANDOM, "/dev/link": URANDOM, "/dev/random": RANDOM, "/dev/hwrng": HWRNG}


class Monitor:
    """A connection whose only use is QEMU's monitor."""

    def __init__(self, answers: dict[str, Any], failure: Exception | None = None) -> None:
        self.answers = answers
        self.failure = failure
        self.patience: list[float] = []

    def monitor(self, entry: DomainEntry, command: str, timeout: float) -> str:
        assert entry is ENTRY
        self.patience.append(timeout)
        if self.failure:
            raise self.failure
        arguments = json.loads(command)["arguments"]
        return json.dumps(self.answers.get(" ".join(arguments.values()), {"return": []}))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the guest's process these descriptors, by device number and name."""

    def install(*devices: tuple[process.Number, str], **more: Any) -> None:
        opened = tuple(process.OpenDevice(number, path) for number, path in devices)
        files = process.OpenFiles(opened, **more)
        monkeypatch.setattr(process, "is_guest", lambda pid, uuid: (pid, uuid) == (PID, UUID))
        monkeypatch.setattr(process, "open_files", lambda pid, paths: files)
        monkeypatch.setattr(process, "device_number", NAMES.get)
        for name in ("connected_unix", "connected_tcp"):
            monkeypatch.setattr(process, name, lambda pid, *dummy: pytest.fail("no sockets here"))

    return install


def guest(*sources: str, **more: Any) -> ObservedGuest:
    live = tuple(
        FoundDevice(RngDevice.from_wire({"source": source}), f"rng{number}") for number, source in enumerate(sources)
    )
    return ObservedGuest(**{"name": "web1", "uuid": UUID, "running": True, "live": live, **more})


def view(of: ObservedGuest, connection: Any = None, pid: int | None = PID) -> dict[str, Any]:
    """The view; QEMU is asked when there is a connection for it."""
    processes = {} if pid is None else {UUID: pid}
    return backend.host_view(connection, ENTRY, of, processes, connection is not None)


def opened(*sources: str) -> list[tuple[bool | None, str | None]]:
    seen = view(guest(*sources))
    assert (seen["status"], seen["pid"], seen["why"]) == ("seen", PID, None)
    assert [entry["source"] for entry in seen["open"]] == list(sources)
    assert seen["qemu"] is None
    return [(entry["open"], entry["why"]) for entry in seen["open"]]


def test_a_source_is_open(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    assert opened("/dev/urandom") == [(True, None)]


def test_another_name_of_the_same_device_will_do(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    assert opened("/dev/link") == [(True, None)]


def test_another_device_will_not(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    assert opened("/dev/random") == [(False, "QEMU does not have device 1:8 open")]


def test_the_name_in_the_mount_namespace_of_qemu_counts(
    host: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    host((HWRNG, "/dev/hwrng"))
    monkeypatch.setattr(process, "device_number", {f"/proc/{PID}/root/dev/hwrng": HWRNG, "/dev/hwrng": URANDOM}.get)
    assert opened("/dev/hwrng") == [(True, None)]


def test_each_device_needs_a_descriptor_of_its_own(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"), (HWRNG, "/dev/hwrng"))
    assert opened("/dev/urandom", "/dev/hwrng", "/dev/urandom") == [
        (True, None),
        (True, None),
        (False, "QEMU does not have device 1:9 open once more"),
    ]


def test_a_name_that_is_another_device_by_now(host: Callable[..., None]) -> None:
    host((RANDOM, "/dev/hwrng"))
    (answer,) = opened("/dev/hwrng")
    assert answer == (False, "device 1:8 was /dev/hwrng when QEMU opened it, now that is device 10:183")


def test_a_name_that_is_gone(host: Callable[..., None]) -> None:
    host((HWRNG, "/dev/gone"))
    assert opened("/dev/gone") == [(True, "/dev/gone is no longer there, QEMU still has it open")]
    assert opened("/dev/other") == [(False, "/dev/other is no character device, and QEMU has none of this name open")]


def test_not_found_among_too_many_descriptors_is_not_known(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"), complete=False)
    assert opened("/dev/urandom", "/dev/random", "/dev/hwrng")[1:] == [
        (None, "it has more than 16384 descriptors"),
        (None, "it has more than 16384 descriptors"),
    ]


def test_builtin_has_nothing_to_open(host: Callable[..., None]) -> None:
    host()
    assert opened("builtin") == [(None, "QEMU asks the kernel (getrandom): there is nothing to open")]


@pytest.mark.parametrize(
    ("source", "function", "connected", "answer"),
    [
        ("egd+unix:/run/egd.sock", "connected_unix", True, (True, None)),
        ("egd+unix:/run/egd.sock", "connected_unix", False, (False, "QEMU is not connected to it")),
        ("egd+unix:/run/egd.sock", "connected_unix", None, (None, "only QEMU's monitor can tell")),
        ("egd+tcp://127.0.0.1:7777", "connected_tcp", True, (True, None)),
        ("egd+tcp://127.0.0.1:7777", "connected_tcp", None, (None, "only QEMU's monitor can tell")),
        ("egd+udp://127.0.0.1:7777", "connected_tcp", True, (None, "datagrams have no connection")),
    ],
)
def test_egd_by_the_sockets_of_the_process(
    source: str, function: str, connected: bool | None, answer: Any, host: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host(sockets=frozenset({12}))
    asked = []
    monkeypatch.setattr(process, function, lambda *arguments: asked.append(arguments) or connected)
    assert opened(source) == [answer]
    if not source.startswith("egd+udp"):
        rest = ("/run/egd.sock",) if "unix" in source else ("127.0.0.1", 7777)
        assert asked == [(PID, frozenset({12}), *rest)]


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("kernel", "complete", "answer"),
    [
        (None, True, None),  # None: as QEMU says
        (False, False, None),  # it may be among those that were not looked at
        (True, True, (True, None)),
        (True, False, (True, None)),
        (False, True, (False, "the connection is gone, and QEMU has not noticed")),
    ],
)
def test_egd_by_its_sockets_and_by_what_qemu_says(
    told: bool, kernel: bool | None, complete: bool, answer: Any, host: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host(complete=complete)
    monkeypatch.setattr(process, "connected_unix", lambda *dummy: kernel)
    name = "egd over a UNIX socket, " + ("connected" if told else "not connected")
    seen = view(guest("egd+unix:/run/egd.sock"), Monitor(RECORDED[name]["answers"]))
    not_connected = (False, "QEMU is not connected to it")
    if answer is None:
        answer = (True, None) if told else not_connected
    elif not answer[0] and not told:
        answer = not_connected
    assert [(entry["open"], entry["why"]) for entry in seen["open"]] == [answer]
    assert seen["qemu"] == RECORDED[name]["rngs"]


def test_a_device_without_our_words_keeps_its_place(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    live = (FoundDevice(None, "rng0", "backend quantum"), *(guest("/dev/urandom").live or ()))
    assert view(guest(live=live))["open"] == [
        {"source": None, "open": None, "why": "backend quantum"},
        {"source": "/dev/urandom", "open": True, "why": None},
    ]


def test_what_qemu_says_of_its_devices(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    connection = Monitor(RECORDED["urandom"]["answers"])
    seen = view(guest("/dev/urandom"), connection)
    assert seen["qemu"] == RECORDED["urandom"]["rngs"]
    assert seen["qemu_why"] is None
    assert all(0 < seconds <= host_view.MONITOR_SECONDS for seconds in connection.patience)


def test_a_monitor_that_refuses_leaves_the_rest(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    connection = Monitor({}, GuestError("libvirt: \x1b[2Jno"))
    seen = view(guest("/dev/urandom"), connection)
    assert seen["open"][0]["open"] is True
    assert (seen["qemu"], seen["qemu_why"]) == (None, "libvirt: \\x1b[2Jno")
    assert len(connection.patience) == 1


def test_a_monitor_that_takes_its_time_is_left(host: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    host((URANDOM, "/dev/urandom"))
    clock = iter([0.0, 0.0, 9.5, 10.5])
    monkeypatch.setattr(host_view, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    connection = Monitor(RECORDED["urandom"]["answers"])
    seen = view(guest("/dev/urandom"), connection)
    assert connection.patience == [10.0, 0.5]
    assert seen["qemu"] is None
    assert seen["qemu_why"] == "QEMU did not answer everything within 10 seconds"


def test_a_connection_that_is_lost_is_nobodys_view(host: Callable[..., None]) -> None:
    host()
    with pytest.raises(HypervisorError):
        view(guest("builtin"), Monitor({}, HypervisorError("gone")))


def test_one_that_is_off_or_cannot_be_read_is_not_looked_at() -> None:
    connection = Monitor({}, AssertionError())
    off = view(guest(running=False, live=None), connection)
    assert (off["status"], off["open"], off["pid"]) == ("not running", [], None)
    unread = view(guest(error="cannot be read: why"), connection)
    assert (unread["status"], unread["why"]) == ("error", "cannot be read: why")


@pytest.mark.parametrize("pid", [None, 12])
def test_no_process(pid: int | None, host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    seen = view(guest("/dev/urandom", "builtin"), pid=pid)
    assert (seen["status"], seen["pid"]) == ("no process", None)
    assert seen["why"] == "no QEMU process with the guest's UUID is to be seen on this host"
    assert [entry["open"] for entry in seen["open"]] == [None, None]
    assert seen["open"][0]["why"] == seen["why"]


def test_several_processes(host: Callable[..., None]) -> None:
    host((URANDOM, "/dev/urandom"))
    seen = view(guest("/dev/urandom"), pid=process.SEVERAL)
    assert (seen["status"], seen["pid"], seen["open"][0]["open"]) == ("error", None, None)
    assert "more than one QEMU process" in seen["why"]


@pytest.mark.parametrize(
    ("error", "status", "pid"),
    [
        (process.NotAllowedError("only root"), "not allowed", PID),
        (process.NoProcessError("ended"), "no process", None),
        (GuestError("odd"), "error", None),
    ],
)
def test_a_process_that_cannot_be_looked_at(
    error: GuestError, status: str, pid: int | None, host: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    host()

    def refuse(*dummy: Any) -> Any:
        raise error

    monkeypatch.setattr(process, "open_files", refuse)
    seen = view(guest("/dev/urandom"), Monitor(RECORDED["urandom"]["answers"]))
    assert (seen["status"], seen["pid"], seen["why"]) == (status, pid, str(error))
    assert seen["open"] == [{"source": "/dev/urandom", "open": None, "why": str(error)}]
    assert seen["qemu"] == RECORDED["urandom"]["rngs"]
