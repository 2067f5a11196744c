# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What running guests say of themselves through real agents, and what is made of agents that are up to no good."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import SCRIPT, Draw, Limits, arguments
from integration.libvirt.hypervisor import Hypervisor, Outcome
from lab import GuestSpec, HostSpec, Lab, LabSpec
from lab.process import wait_for

MARKUP = "<script>alert(1)</script>{{ 7 * 7 }}"
URANDOM = "<backend model='random'>/dev/urandom</backend>"
NOBODY = (
    "<backend model='egd' type='unix'><source mode='connect' path='/run/nobody'><reconnect enabled='yes' timeout='1'/>"
)


def rng(rate: str = "", backend: str = URANDOM) -> str:
    return f"<rng model='virtio'>{rate}{backend}</rng>"


def limited(count: int) -> str:
    return rng(f"<rate bytes='{count}' period='1000'/>")


SPEC = LabSpec(
    (
        HostSpec(
            "views",
            guests=(
                GuestSpec("slow", rng=limited(1024), os_name=MARKUP),
                GuestSpec("quick", rng=limited(2048)),
                GuestSpec("free", rng=rng()),
                GuestSpec("bare"),
                GuestSpec("starved", rng=rng(backend=f"{NOBODY}</source></backend>")),
                GuestSpec("driverless", rng=rng(), driver=False),
                GuestSpec("no-files", agent="no_files"),
                GuestSpec("absent", agent="absent"),
                GuestSpec("hung", agent="hung"),
                GuestSpec("megabytes", agent="megabytes"),
                GuestSpec("garbage", agent="garbage"),
                GuestSpec("windows", agent="windows", rng=rng()),
                GuestSpec("freebsd", agent="freebsd"),
                GuestSpec("off", running=False),
            ),
        ),
    )
)
STATUSES = {
    "slow": "seen",
    "quick": "seen",
    "free": "seen",
    "bare": "seen",
    "starved": "seen",
    "driverless": "seen",
    "no-files": "file reading disabled",
    "absent": "no agent",
    "hung": "timed out",
    "megabytes": "error",
    "garbage": "error",
    "windows": "not Linux",
    "freebsd": "not Linux",
    "off": "not running",
}
BYTES = 8192
TIMEOUT = 60  # seconds for a guest, on a machine that is busy with a dozen of them


@pytest.fixture(scope="module")
def hv(boot_lab: Callable[[LabSpec], Lab]) -> Hypervisor:
    lab = boot_lab(SPEC)
    return Hypervisor(lab, lab.host("views"))


def observe(hv: Hypervisor, **options: Any) -> Outcome:
    outcome = hv.play({"fleet.rng.libvirt_rng_info": {"timeout": TIMEOUT, **options}})[0]
    assert not outcome.failed, outcome.output
    assert not outcome.changed
    return outcome


def views(outcome: Outcome, kind: str = "guest_view") -> dict[str, Any]:
    return {guest["name"]: guest[kind] for guest in outcome.result["guests"]}


@pytest.fixture(scope="module")
def by_files(hv: Hypervisor) -> dict[str, Any]:
    before = hv.documents()
    found = views(observe(hv, guest_view=True))
    assert hv.documents() == before
    return found


@pytest.fixture(scope="module")
def by_probe(hv: Hypervisor) -> dict[str, Any]:
    # The bytes end the measurement, long before the seconds do. Nobody has to wait for ``hung`` once more.
    measure, guests = {"seconds": 30, "bytes": BYTES}, [name for name in STATUSES if name != "hung"]
    return views(observe(hv, guest_view=True, guest_exec=True, measure=measure, guests=guests))


def test_every_guest_has_its_own_status(by_files: dict[str, Any]) -> None:
    assert {name: view["status"] for name, view in by_files.items()} == STATUSES
    assert [name for name, view in by_files.items() if view["status"] != "seen" and not view["why"]] == []


@pytest.mark.parametrize("name", ["slow", "quick", "free", "starved"])
def test_guests_tell_which_rng_they_use(name: str, by_files: dict[str, Any]) -> None:
    view = by_files[name]
    rng = view["rng"]
    assert (rng["current"], rng["available"], rng["virtio_rng"]) == ("virtio_rng.0", ["virtio_rng.0"], "loaded")
    assert view["driver"] is True
    assert rng["kernel"]["release"] == view["os"]["kernel"]
    assert (rng["entropy_avail"], rng["fips"], rng["cpu"]) == (256, False, None)
    assert rng["findings"] == []


def test_guests_without_a_device_or_a_driver(by_files: dict[str, Any]) -> None:
    for name, driver in (("bare", True), ("driverless", False)):
        view = by_files[name]
        assert (view["driver"], view["rng"]["available"], view["rng"]["current"]) == (driver, [], None)
        assert view["rng"]["findings"] == []


def test_the_probe_sees_what_the_files_show_and_more(by_files: dict[str, Any], by_probe: dict[str, Any]) -> None:
    files, probe = by_files["slow"]["rng"], by_probe["slow"]["rng"]
    for key in ("available", "current", "quality", "entropy_avail", "poolsize", "kernel", "arguments", "fips"):
        assert files[key] == probe[key], key
    assert probe["cpu"] is not None
    assert probe["hwrng"]["readable"] is True
    assert [finding["id"] for finding in by_probe["driverless"]["rng"]["findings"]] == ["RNG002"]
    assert [finding["id"] for finding in by_probe["starved"]["rng"]["findings"]] == ["RNG006"]


def test_a_guest_that_lets_no_file_be_read_may_let_the_probe_run(by_probe: dict[str, Any]) -> None:
    assert (by_probe["no-files"]["status"], by_probe["no-files"]["rng"]["available"]) == ("seen", [])


def test_what_a_guest_writes_stays_text(by_files: dict[str, Any], by_probe: dict[str, Any]) -> None:
    assert by_files["slow"]["os"]["name"] == MARKUP
    everything = json.dumps([by_files, by_probe])
    assert "49" not in by_files["slow"]["os"]["name"]
    assert len(everything) < 200_000, "the megabytes stayed in the guest"


def test_other_systems_tell_what_they_can(by_files: dict[str, Any]) -> None:
    windows, freebsd = by_files["windows"], by_files["freebsd"]
    assert (windows["os"]["id"], windows["driver"], windows["rng"]) == ("mswindows", True, None)
    assert (freebsd["os"]["id"], freebsd["driver"], freebsd["rng"]) == ("freebsd", None, None)
    assert "not verifiable" in windows["why"]
    assert "not verifiable" in freebsd["why"]


@pytest.mark.parametrize(("name", "rate", "quotas"), [("slow", 1024, 6), ("quick", 2048, 2)])
def test_a_limited_guest_measures_its_quota(name: str, rate: int, quotas: int, by_probe: dict[str, Any]) -> None:
    measured = by_probe[name]["measured"]
    assert (measured["status"], measured["why"]) == ("measured", None)
    assert measured["bytes"] == quotas * rate
    # On a busy machine the guest is late, and then has the next quota all the sooner.
    at_least = measured["bytes"] / measured["seconds"]
    assert at_least <= 1.01 * rate
    assert at_least - 1 <= measured["bytes_per_second"] <= 2 * rate
    assert measured["health"]["repetition_count"] == "no failure found"


def test_an_unlimited_guest_draws_all_that_it_may(by_probe: dict[str, Any]) -> None:
    measured = by_probe["free"]["measured"]
    assert (measured["status"], measured["bytes"]) == ("measured", BYTES)
    assert measured["bytes_per_second"] > 2048, "more than the quick one may"


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("bare", "no bytes", "it has no virtio RNG"),
        ("starved", "no bytes", "/dev/hwrng gave nothing in"),
        ("driverless", "error", "draws from no hardware RNG"),
    ],
)
def test_guests_that_get_nothing(name: str, status: str, words: str, by_probe: dict[str, Any]) -> None:
    measured = by_probe[name]["measured"]
    assert (measured["status"], measured["bytes"], measured["bytes_per_second"]) == (status, 0, None)
    assert words in measured["why"]


def test_limits_that_hide_the_quota_give_no_rate(hv: Hypervisor) -> None:
    measure = {"seconds": 30, "bytes": 512}
    outcome = observe(hv, guest_view=True, guest_exec=True, measure=measure, guests=["quick"])
    measured = views(outcome)["quick"]["measured"]
    assert (measured["bytes"], measured["bytes_per_second"]) == (512, None)
    assert "measure.bytes has to be at least" in measured["why"]


def test_a_measurement_ends_although_nobody_waits_for_it(hv: Hypervisor) -> None:
    guest = hv.lab.guest("starved", "views")
    words = ["-c", SCRIPT, *arguments(Draw(1088, 3072), Limits(seconds=1))]
    pid = guest.agent("guest-exec", path="/bin/sh", arg=words, **{"capture-output": True})["pid"]
    wait_for("the measurement's end", lambda: guest.agent("guest-exec-status", pid=pid)["exited"], pause=0.5)
    assert "/dev/hwrng" not in guest.run("ps -o args | grep -v grep | grep -F hwrng || true")


def test_only_the_named_guests_are_asked(hv: Hypervisor) -> None:
    quick = hv.lab.guest("quick", "views")
    outcome = observe(hv, guest_view=True, host_view=True, guests=["slow", quick.uuid.upper(), "nosuch"])
    asked = {name for name, view in views(outcome).items() if view is not None}
    assert asked == {"slow", "quick"} == {name for name, view in views(outcome, "host_view").items() if view}
    assert len(outcome.result["guests"]) == len(STATUSES)
    assert outcome.result["warnings"] == ["guests: no guest of this name or UUID is here: nosuch"]


def test_the_host_sees_the_open_sources(hv: Hypervisor) -> None:
    seen = views(observe(hv, host_view=True), "host_view")
    assert [entry["open"] for entry in seen["slow"]["open"]] == [True]
    assert seen["bare"]["open"] == []
    assert seen["off"]["status"] == "not running"


@pytest.fixture
def frozen(hv: Hypervisor) -> Iterator[str]:
    hv.signal_qemu("freebsd", signal.SIGSTOP)
    yield "freebsd"
    hv.signal_qemu("freebsd", signal.SIGCONT)


def test_a_frozen_qemu_holds_up_nobody(frozen: str, hv: Hypervisor) -> None:
    found = views(
        observe(hv, guest_view=True, host_view=True, monitor=True, timeout=30, guests=[frozen, "slow", "free"])
    )
    assert found[frozen]["status"] == "timed out"
    assert (found["slow"]["status"], found["free"]["status"]) == ("seen", "seen")


def test_a_paused_guest_is_not_asked(hv: Hypervisor) -> None:
    guest = hv.lab.guest("free", "views")
    hv.host.virsh("suspend", "--domain", guest.uuid)
    try:
        view = views(observe(hv, guest_view=True, guests=["free"]))["free"]
    finally:
        hv.host.virsh("resume", "--domain", guest.uuid)
    assert (view["status"], view["rng"]) == ("not running", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"measure": {"seconds": 5}}, "measure: "),
        ({"timeout": 0}, "timeout: 0 is not valid; allowed: seconds, an integer from 1 to 600"),
        ({"sources": ["/proc/self/environ"]}, "source: '/proc/self/environ' is not valid"),
    ],
)
def test_options_that_nobody_could_have_meant(options: dict[str, Any], words: str, hv: Hypervisor) -> None:
    outcome = hv.play({"fleet.rng.libvirt_rng_info": options})[0]
    assert outcome.failed
    assert words in outcome.msg


def test_sources_of_the_host(hv: Hypervisor) -> None:
    sources = observe(hv, sources=["/dev/urandom", "/dev/null", "/dev/nosuch", "builtin"]).result["host"]["sources"]
    assert sources["/dev/urandom"] is None
    assert sources["builtin"] is None
    assert "no source of randomness" in sources["/dev/null"]
    assert "No such file" in sources["/dev/nosuch"]
