# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend for plain QEMU, with the modules' own runners over it, against QEMUs that are threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import qemu as backend
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu import Backend
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import Options
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, TimedOutError, UnsafeSourceError
from ansible_collections.fleet.rng.plugins.module_utils.observation import LIVE
from ansible_collections.fleet.rng.plugins.module_utils.transport import process
from ansible_collections.fleet.rng.plugins.module_utils.transport import qmp as transport
from ansible_collections.fleet.rng.plugins.modules import qemu_rng, qemu_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_qemu import FakeQemu

Start = Callable[..., FakeQemu]
Module = Callable[..., dict[str, Any]]
OURS = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}
WRITES = ["object-add", "device_add"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a QEMU; its process is not to be seen."""
    running: list[FakeQemu] = []
    monkeypatch.setattr(process, "qemu_command_lines", dict)

    def run(name: str = "web1", **more: Any) -> FakeQemu:
        running.append(FakeQemu(tmp_path / f"{len(running)}.qmp", name, **more))
        return running[-1]

    yield run
    for one in running:
        one.close()


@pytest.fixture
def converge(run_module: Module, tmp_path: Path) -> Module:
    """The outcome of the one guest that is asked for."""

    def run(wait: int = 0, check: bool = False, **device: Any) -> dict[str, Any]:
        result = run_module(
            qemu_rng.main, check=check, sockets=[f"{tmp_path}/*.qmp"], wait=wait, devices=[{"guest": "web1", **device}]
        )
        outcome: dict[str, Any] = result["guests"][0]
        return outcome

    return run


@pytest.fixture
def observe(run_module: Module, tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    def run() -> list[dict[str, Any]]:
        result = run_module(qemu_rng_info.main, sockets=[f"{tmp_path}/*.qmp"])
        assert result["host"]["hypervisor"]["kind"] == "qemu"
        guests: list[dict[str, Any]] = result["guests"]
        return guests

    return run


def test_it_observes_and_never_writes(start: Start, observe: Any) -> None:
    qemu = start()
    qemu.add_rng(**{"max-bytes": 512, "period": 100, "iommu_platform": True})
    qemu.add_rng("device[0]", "rp2")
    (guest,) = observe()
    assert guest["live"] == [
        {**OURS, "max_bytes": 512, "period": 100, "driver": {"iommu": True}, "alias": "rng0"},
        {**OURS, "max_bytes": "unlimited", "alias": "/machine/peripheral-anon/device[0]"},
    ]
    assert (guest["name"], guest["running"], guest["persistent"], guest["config"]) == ("web1", True, False, None)
    assert (guest["arch"], guest["machine"]) == ("x86_64", "pc-q35-7.2")
    assert guest["blocked"] == {
        "live": "no free PCIe port (pcie-root-port with an id) to plug an RNG into while it runs"
    }
    assert "no -readconfig file" in guest["notes"][0]
    assert qemu.writes == []


def test_what_has_no_words(start: Start, observe: Any) -> None:
    qemu = start()
    qemu.add_rng(**{"max-bytes": 0})
    qemu.add_rng("b", "rp2")
    qemu.objects["obj-b"]["filename"] = "/proc/../x"
    zero, path = observe()[0]["live"]
    assert zero["source"] is path["source"] is None
    assert "0 starves the guest" in zero["unknown"]


def test_it_adds_replaces_and_removes(start: Start, converge: Any) -> None:
    qemu = start()
    assert converge()["live"] == "added"
    assert qemu.devices["ua-fleet-rng"]["bus"] == "rp1"
    again = converge()
    assert (again["changed"], again["live"], again["config"]) == (False, "unchanged", "not_applicable")
    assert qemu.writes == WRITES
    assert converge(max_bytes=2048)["live"] == "replaced"
    assert qemu.writes[2:] == [*WRITES, "device_del", "object-del"]
    assert list(qemu.devices) == ["ua-fleet-rng-2"]
    assert list(qemu.objects) == ["ua-fleet-rng-2-source"]
    assert converge(state="absent")["live"] == "removed"
    assert (qemu.devices, qemu.objects) == ({}, {})


def test_an_option_that_is_off_is_like_none(start: Start, converge: Any) -> None:
    qemu = start()
    assert converge(driver={"ats": False, "packed": True})["live"] == "added"
    assert qemu.devices["ua-fleet-rng"]["packed"] is True
    assert converge(driver={"iommu": False, "packed": True})["live"] == "unchanged"
    assert converge(driver={"packed": False})["live"] == "replaced"


def test_check_mode_makes_no_writing_call(start: Start, converge: Any) -> None:
    qemu = start()
    assert converge(check=True)["live"] == "added"
    qemu.add_rng()
    assert converge(check=True, state="absent")["live"] == "removed"
    assert converge(check=True)["live"] == "replaced"
    assert qemu.writes == []


def test_a_session_for_reading_refuses_to_write(start: Start) -> None:
    qemu = start()
    session = Backend(Options((qemu.path,))).session(readonly=True)
    (guest,) = session.observe_all()
    with pytest.raises(GuestError, match="only reads"):
        session.add(guest, LIVE, RngDevice.from_wire({}), "a")


def test_devices_of_others_go_with_their_backends(start: Start, converge: Any) -> None:
    qemu = start()
    qemu.add_rng()
    qemu.chardevs["c"] = {"addr": {"type": "unix", "path": "/run/egd.sock"}}
    qemu.objects["obj-rng0"] = {"qom-type": "rng-egd", "chardev": "c"}
    qemu.add_rng("device[3]", "rp9")
    assert converge()["live"] == "replaced"
    assert (list(qemu.devices), list(qemu.objects), qemu.chardevs) == (["ua-fleet-rng"], ["ua-fleet-rng-source"], {})


def test_a_guest_that_does_not_let_go(start: Start, converge: Any) -> None:
    qemu = start()
    qemu.ports["rp3"] = True
    converge()
    qemu.releases = False
    outcome = converge(max_bytes=2048)
    assert outcome["live"] == "pending_removal"
    assert set(qemu.objects) == {"ua-fleet-rng-source", "ua-fleet-rng-2-source"}
    outcome = converge(max_bytes=2048)
    assert outcome["live"] == "pending_removal"
    assert "already in the process of unplug" in outcome["reason"]
    qemu.release("ua-fleet-rng")  # with nobody there to remove what was behind it
    assert "ua-fleet-rng-source without a device" in converge(max_bytes=2048)["reason"]
    qemu.releases = True
    converge(max_bytes=4096)
    assert (list(qemu.devices), list(qemu.objects)) == (["ua-fleet-rng"], ["ua-fleet-rng-source"])


def test_a_guest_that_lets_go_late(start: Start, converge: Any) -> None:
    qemu = start()
    converge()
    qemu.releases = False
    looks = []

    def note(command: str) -> None:
        if "ua-fleet-rng" in qemu.leaving and command == "qom-list":
            looks.append(command)
            if len(looks) == 5:
                qemu.release("ua-fleet-rng")

    qemu.before = note
    assert converge(wait=60, state="absent")["live"] == "removed"
    assert qemu.objects == {}


def test_a_failed_device_takes_its_source_back(start: Start, converge: Any) -> None:
    qemu = start()

    def race(command: str) -> None:
        if command == "object-add":
            qemu.ports["rp1"] = False

    qemu.before = race
    assert converge()["error"] == "QEMU: Bus 'rp1' does not support hotplugging"
    assert (qemu.devices, qemu.objects) == ({}, {})


@pytest.mark.parametrize(
    ("machine", "reason"),
    [("microvm", "virtio-mmio, which cannot hot-plug"), ("isapc", "has no PCI bus")],
)
def test_machines_that_cannot_hot_plug(machine: str, reason: str, start: Start, converge: Any) -> None:
    qemu = start(machine=machine)
    outcome = converge()
    assert reason in outcome["error"]
    assert qemu.writes == []


def test_conventional_pci(start: Start, converge: Any, observe: Any) -> None:
    qemu = start(machine="pc-i440fx-7.2")
    assert converge()["live"] == "added"
    assert qemu.devices["ua-fleet-rng"]["bus"] == "pci.0"
    qemu.slots = 32
    assert "no free slot" in observe()[0]["blocked"]["live"]


def test_ccw(start: Start, converge: Any) -> None:
    qemu = start(machine="s390-ccw-virtio-7.2")
    assert converge(model="virtio-transitional")["error"].endswith("has no PCI, and only model virtio")
    assert converge()["live"] == "added"
    assert qemu.devices["ua-fleet-rng"]["driver"] == "virtio-rng-ccw"


def test_guests_that_cannot_be_told_apart(start: Start, observe: Any, converge: Any) -> None:
    start()
    start()
    assert [guest["error"] for guest in observe()] == ["another guest that runs here has the same UUID"] * 2
    assert converge()["error"]


def test_one_that_is_in_use_stops_nobody(start: Start, observe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "GREETING_SECONDS", 3.0)
    busy, dummy = start("busy"), start("web1")
    with transport.Monitor(busy.path, 30):
        guests = {guest["name"]: guest for guest in observe()}
    assert "another client is connected to this monitor" in guests[busy.path]["error"]
    assert guests["web1"]["error"] is None


def test_one_that_ends_meanwhile(start: Start, converge: Any) -> None:
    qemu = start()
    qemu.before = lambda command: qemu.close() if command == "object-add" else None
    outcome = converge()
    assert "QMP socket" in outcome["error"]
    assert outcome["changed"] is False


def test_hostile_names(start: Start, observe: Any, converge: Any) -> None:
    name = "a\x1b[2J{{ lookup('pipe','id') }}\u202e$(id)"
    start(name)
    assert observe()[0]["name"] == name
    assert "no guest of this name" in converge()["error"]


def test_guests_that_do_not_run(start: Start, run_module: Module, tmp_path: Path) -> None:
    start()
    (tmp_path / "off1.cfg").write_text("# theirs")
    for check, changed in ((True, True), (False, True), (False, False)):
        result = run_module(
            qemu_rng.main, check=check, config_dir=str(tmp_path), devices=[{"guest": "off1"}, {"guest": "off2"}]
        )
        outcome = result["guests"][0]
        assert (outcome["changed"], outcome["live"]) == (changed, "not_applicable")
        assert outcome["config"] == ("added" if changed else "unchanged")
        assert "no guest of this name" in result["guests"][1]["error"]
        assert ("urandom" in (tmp_path / "off1.cfg").read_text()) == (not check)
    (guest,) = run_module(qemu_rng_info.main, config_dir=str(tmp_path))["guests"]
    assert (guest["name"], guest["running"], guest["live"], guest["config"]) == (
        "off1", False, None, [{**OURS, "alias": "ua-fleet-rng"}],
    )  # fmt: skip
    run_module(qemu_rng.main, config_dir=str(tmp_path), devices=[{"guest": "off1", "state": "absent"}])
    assert (tmp_path / "off1.cfg").read_text() == "# theirs"


def test_both_layers(start: Start, run_module: Module, tmp_path: Path) -> None:
    qemu = start()
    options: dict[str, Any] = {"sockets": [qemu.path], "configs": {"web1": f"{tmp_path}/web1.cfg"}}
    outcome = run_module(qemu_rng.main, **options, devices=[{"guest": "web1"}])["guests"][0]
    assert (outcome["config"], outcome["live"], outcome["error"]) == ("added", "added", None)
    assert "max-bytes" in (tmp_path / "web1.cfg").read_text()
    qemu.ports = {}
    outcome = run_module(qemu_rng.main, **options, devices=[{"guest": "web1", "max_bytes": 2048}])["guests"][0]
    assert (outcome["config"], outcome["live"]) == ("replaced", "needs_restart")
    qemu.close()
    outcome = run_module(qemu_rng.main, **options, devices=[{"guest": "web1", "state": "absent"}])["guests"][0]
    assert (outcome["config"], outcome["live"]) == ("removed", "not_applicable")
    assert (tmp_path / "web1.cfg").read_text() == ""


def test_a_device_that_cannot_be_unplugged(start: Start, run_module: Module, converge: Any, tmp_path: Path) -> None:
    qemu = start()
    qemu.add_rng(bus="pcie.0", hotpluggable=False)
    options: dict[str, Any] = {"sockets": [qemu.path], "configs": {"web1": f"{tmp_path}/web1.cfg"}}
    outcome = run_module(qemu_rng.main, **options, devices=[{"guest": "web1"}])["guests"][0]
    assert (outcome["config"], outcome["live"], outcome["error"]) == ("added", "needs_restart", None)
    assert "rng0 is where nothing can be unplugged" in outcome["reason"]
    assert qemu.writes == []
    assert converge()["live"] != "needs_restart"  # without a next start to wait for
    assert "ua-fleet-rng" in qemu.devices


def test_sources(start: Start, converge: Any, tmp_path: Path) -> None:
    qemu = start()
    assert "datagram" in converge(source="egd+udp://127.0.0.1:7")["error"]
    assert "nobody accepts there" in converge(source=f"egd+unix:{tmp_path}/none")["error"]
    assert qemu.writes == []
    found = Backend(Options()).sources(None, ["/dev/urandom", "/dev/null"])  # type: ignore[arg-type]
    assert found["/dev/urandom"] is None
    assert "no source of randomness" in str(found["/dev/null"])


def test_what_this_qemu_does_not_have(start: Start) -> None:
    qemu = start()
    qemu._qom_list_types = lambda implements: [{"name": "rng-random"}, {"name": "virtio-rng-pci"}]  # type: ignore[method-assign]
    one = Backend(Options((qemu.path,)))
    session = one.session()
    (guest,) = session.observe_all()
    with pytest.raises(UnsafeSourceError, match="source builtin: this guest's QEMU knows only random"):
        one.check(session, guest, RngDevice.from_wire({"source": "builtin"}))
    with pytest.raises(UnsafeSourceError, match="model virtio-transitional: this guest's QEMU knows only virtio"):
        one.check(session, guest, RngDevice.from_wire({"model": "virtio-transitional"}))


def test_a_conversation_has_an_end(start: Start) -> None:
    with transport.Monitor(start().path) as monitor, pytest.raises(TimedOutError, match="everything within 0 seconds"):
        backend.converse(monitor, backend.qmp.ask_for_state(), 0)
