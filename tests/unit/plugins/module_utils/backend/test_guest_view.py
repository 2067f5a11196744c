# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of a guest's answers: never more than it said, and never its failure somebody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import guest_view
from ansible_collections.fleet.rng.plugins.module_utils.backend.guest_view import GuestOptions, view
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import Limits
from ansible_collections.fleet.rng.plugins.module_utils.kernel.probe import BEGIN, END
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice
from ansible_collections.fleet.rng.plugins.module_utils.transport.agent import (
    DISABLED,
    GARBAGE,
    REFUSED,
    TIMED_OUT,
    AgentError,
)
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_agent import DEBIAN, FILES, HW_RANDOM, FakeAgent

FILES_ONLY = GuestOptions()
EXEC = GuestOptions(execute=True)
MEASURE = GuestOptions(execute=True, measure=Limits())
LIVE = (FoundDevice(RngDevice.from_wire({"source": "/dev/urandom", "max_bytes": 1024})),)
CURRENT = HW_RANDOM + "rng_current"
ENTROPY = "/proc/sys/kernel/random/entropy_avail"


def without(*names: str) -> dict[str, Any]:
    return {path: text for path, text in FILES.items() if path not in names}


def probe_output(*lines: str, system: str = "Linux 6.1.0-30-amd64 x86_64") -> bytes:
    return "\n".join(["", BEGIN, f"= uname {system}", *lines, END, ""]).encode()


PROBED = probe_output(
    f"{HW_RANDOM[1:]}rng_available:virtio_rng.0",
    f"{HW_RANDOM[1:]}rng_current:virtio_rng.0",
    "+ sys/bus",
    "+ sys/module/virtio_rng/initstate",
    "= hwrng byte",
)


def test_files() -> None:
    agent = FakeAgent()
    seen = view(agent, LIVE, FILES_ONLY)
    assert (seen["status"], seen["why"], seen["via"], seen["driver"], seen["measured"]) == (
        "seen",
        None,
        "agent",
        True,
        None,
    )
    assert seen["os"] == {
        "id": "debian",
        "name": "Debian GNU/Linux 12 (bookworm)",
        "version": "12",
        "kernel": "6.1.0-30-amd64",
    }
    rng = seen["rng"]
    assert (rng["available"], rng["current"], rng["quality"]) == (["virtio_rng.0"], "virtio_rng.0", 1000)
    assert (rng["entropy_avail"], rng["poolsize"], rng["crng_ready"]) == (256, 256, True)
    assert rng["kernel"] == {"release": "6.1.0-30-amd64", "arch": "x86_64"}
    assert rng["os"] == {"id": "debian", "version": "12", "name": "Debian GNU/Linux"}
    assert (rng["virtio_rng"], rng["fips"], rng["arguments"]) == ("loaded", False, {"random.trust_cpu": "on"})
    assert rng["role"] == "guest"
    assert agent.handles == {}, "every handle is closed"
    assert len(agent.asked) <= 30
    json.dumps(seen)


def test_what_was_not_looked_at_is_unknown_and_no_finding() -> None:
    rng = view(FakeAgent(), LIVE, FILES_ONLY)["rng"]
    unknown = ("cpu", "daemons", "virtio_devices", "selected")
    assert [rng[name] for name in unknown] == [None] * len(unknown)
    assert rng["hwrng"]["present"] is None
    assert rng["findings"] == []
    assert {entry["path"]: entry["reason"] for entry in rng["unreadable"]} == {
        "/sys/bus/virtio/devices": guest_view._NOT_READ,
        "/proc/*/comm": guest_view._NOT_READ,
    }


def test_a_finding_that_rests_on_more_than_files_is_left_to_the_probe() -> None:
    rng = view(FakeAgent({**FILES, HW_RANDOM + "rng_quality": "0\n"}), LIVE, FILES_ONLY)["rng"]
    assert (rng["quality"], rng["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("files", "driver", "virtio_rng", "available"),
    [
        (without("/sys/module/virtio_rng/initstate"), True, "missing", ["virtio_rng.0"]),  # built in, and hidden
        (
            {**without("/sys/module/virtio_rng/initstate"), "/sys/bus/virtio/drivers/virtio_rng": None},
            True,
            "builtin",
            1,
        ),
        ({"/sys/bus": None, ENTROPY: "256\n"}, False, "missing", []),
        ({ENTROPY: "256\n"}, None, None, None),  # no sysfs
        (
            {ENTROPY: "256\n", "/sys/module/virtio_rng/initstate": AgentError(REFUSED, "Permission denied")},
            None,
            None,
            None,
        ),
    ],
)
def test_the_driver(files: Any, driver: Any, virtio_rng: Any, available: Any) -> None:
    seen = view(FakeAgent(files), LIVE, FILES_ONLY)
    assert (seen["driver"], seen["rng"]["virtio_rng"]) == (driver, virtio_rng)
    assert available == 1 or seen["rng"]["available"] == available
    assert not [finding for finding in seen["rng"]["findings"] if finding["id"] == "RNG002"]


def test_a_file_that_may_not_be_read_is_unknown_and_told() -> None:
    denied = AgentError(REFUSED, "failed to open file '/proc/sys/crypto/fips_enabled' (mode: 'r'): Permission denied")
    seen = view(FakeAgent({**FILES, "/proc/sys/crypto/fips_enabled": denied}), LIVE, FILES_ONLY)
    assert (seen["status"], seen["rng"]["fips"]) == ("seen", None)
    assert any("Permission denied" in entry["reason"] for entry in seen["rng"]["unreadable"])


def test_what_was_read_until_the_time_was_up_is_kept() -> None:
    seen = view(FakeAgent({**FILES, ENTROPY: AgentError(TIMED_OUT, "late")}), LIVE, FILES_ONLY)
    assert (seen["status"], seen["why"]) == ("timed out", "late")
    rng = seen["rng"]
    assert (rng["current"], rng["entropy_avail"], rng["fips"], rng["arguments"]) == ("virtio_rng.0", None, None, None)
    assert rng["findings"] == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (TIMED_OUT, "timed out"),
        (GARBAGE, "error"),
        (DISABLED, "file reading disabled"),
        (REFUSED, "error"),
    ],
)
def test_an_agent_that_fails_at_once(kind: str, status: str) -> None:
    files = dict.fromkeys(FILES, AgentError(kind, "\u202eevil\x1b"))
    seen = view(FakeAgent(files), LIVE, FILES_ONLY)
    assert (seen["status"], seen["rng"], seen["driver"]) == (status, None, None)
    assert r"\u202eevil\x1b" in seen["why"] or kind == REFUSED
    assert seen["why"].isprintable()


def test_nothing_of_linux_is_there() -> None:
    seen = view(FakeAgent({}, os={}), LIVE, FILES_ONLY)
    assert (seen["status"], seen["rng"]) == ("error", None)
    assert seen["why"] == "it has none of the files that a Linux system has"


def test_reading_is_disabled() -> None:
    agent = FakeAgent(off=("file-open", "exec"))
    seen = view(agent, LIVE, EXEC)
    assert (seen["status"], seen["rng"]) == ("file reading disabled", None)
    assert seen["os"]["id"] == "debian"
    assert "guest-exec" in seen["why"]
    assert agent.asked == ["info", "get-osinfo"]


def test_hostile_texts() -> None:
    os = {**DEBIAN, "id": "<script>", "pretty-name": "\x1b[2J" + "x" * 1000, "kernel-release": "{{ 1 }}\n"}
    files = {**FILES, CURRENT: "\u202e" + "y" * 5000 + "\n", "/proc/cmdline": "fips=\x00\x1b\n" * 1000}
    seen = view(FakeAgent(files, os=os), LIVE, FILES_ONLY)
    assert all(text.isprintable() and len(text) <= 100 for text in seen["os"].values())
    assert len(seen["rng"]["current"]) <= 100
    assert seen["rng"]["current"].isprintable()
    assert len(json.dumps(seen)) < 5000


# Programs


def test_the_probe() -> None:
    agent = FakeAgent({}, program=lambda arguments: (PROBED, b"", 0))
    seen = view(agent, LIVE, EXEC)
    assert (seen["status"], seen["why"], seen["driver"]) == ("seen", None, True)
    assert (seen["rng"]["current"], seen["rng"]["hwrng"]["readable"]) == ("virtio_rng.0", True)
    assert seen["rng"]["virtio_devices"] == []
    assert agent.asked == ["info", "get-osinfo", "exec", "exec-status"]
    assert "fleet.rng probe" in agent.programs[0][1]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FakeAgent(off=("exec",)), "does not offer guest-exec, its files were read instead"),
        (FakeAgent(off=("info", "exec")), "guest-exec is refused (Command guest-exec has been disabled)"),
        (FakeAgent(program=lambda arguments: (b"", b"", 127)), "the machine did not run the probe"),
    ],
)
def test_without_the_probe_files_are_read(agent: FakeAgent, words: str) -> None:
    seen = view(agent, LIVE, EXEC)
    assert (seen["status"], seen["rng"]["current"]) == ("seen", "virtio_rng.0")
    assert words in seen["why"]


def test_the_probe_finds_another_system() -> None:
    out = probe_output(system="SunOS 5.11 i86pc")
    seen = view(FakeAgent({}, os={}, program=lambda arguments: (out, b"", 0)), LIVE, EXEC)
    assert (seen["status"], seen["rng"]) == ("not Linux", None)
    assert "SunOS" in seen["why"]


# Other systems

RNG_DEVICE = {"driver-name": "VirtIO RNG Device", "id": {"type": "pci", "vendor-id": 0x1AF4, "device-id": 0x1044}}
NET_DEVICE = {"driver-name": "VirtIO Ethernet", "id": {"type": "pci", "vendor-id": 0x1AF4, "device-id": 0x1041}}
WINDOWS = {"id": "mswindows", "name": "Microsoft Windows", "pretty-name": "Windows Server 2022", "version-id": "2022"}


@pytest.mark.parametrize(
    ("os", "agent", "live", "driver", "words"),
    [
        (
            WINDOWS,
            {"devices": [NET_DEVICE, RNG_DEVICE], "off": ()},
            LIVE,
            True,
            "Windows: a driver serves its virtio RNG",
        ),
        (WINDOWS, {"devices": [NET_DEVICE], "off": ()}, LIVE, False, "no driver serves its virtio RNG"),
        (WINDOWS, {"devices": [NET_DEVICE], "off": ()}, (), None, "has a driver for one is not verifiable"),
        (WINDOWS, {}, LIVE, None, "not verifiable through its agent"),
        (WINDOWS, {"devices": 5 * [[]], "off": ()}, LIVE, False, "no driver"),
        ({"id": "freebsd"}, {}, LIVE, None, "the guest runs FreeBSD: what it uses is not verifiable"),
        ({"kernel-version": "FreeBSD 13.2-RELEASE"}, {}, LIVE, None, "runs FreeBSD"),
    ],
)
def test_other_systems(os: Any, agent: Any, live: Any, driver: Any, words: str) -> None:
    seen = view(FakeAgent({}, os=os, **agent), live, MEASURE)
    assert (seen["status"], seen["driver"], seen["rng"], seen["measured"]) == ("not Linux", driver, None, None)
    assert words in seen["why"]
    assert seen["os"]["id"] == os.get("id", "")


def test_an_agent_that_does_not_know_the_system() -> None:
    seen = view(FakeAgent(off=("get-osinfo",)), LIVE, FILES_ONLY)
    assert (seen["status"], seen["os"]) == ("seen", None)


# Measuring


def measuring(out: bytes, figures: str, probed: bytes = PROBED) -> FakeAgent:
    def program(arguments: list[str]) -> tuple[bytes, bytes, int]:
        if arguments[2:3] != ["measure"]:
            return probed, b"", 0
        return out, f"fleet.rng measure 2: {figures}\n".encode(), 0

    return FakeAgent({}, program=program)


def test_a_device_that_is_too_slow_to_be_measured_is_not_one_that_gives_nothing() -> None:
    slow = (FoundDevice(RngDevice.from_wire({"source": "/dev/urandom", "max_bytes": 1})),)
    measured = view(measuring(b"", "10.00 15.00 0 0 0"), slow, MEASURE)["measured"]
    assert measured["status"] == "error"
    assert "a rate of 1 B / 1000 ms does not show in 5 seconds: it would take 768" in measured["why"]


def test_a_measured_guest() -> None:
    agent = measuring(bytes(range(256)) * 16 + bytes(192), "10.00 14.03 3072 4288 0 11.01 12.01 13.51 14.03")
    measured = view(agent, LIVE, MEASURE)["measured"]
    assert (measured["status"], measured["why"]) == ("measured", None)
    assert (measured["bytes"], measured["seconds"], measured["bytes_per_second"]) == (3072, 4.03, 1013.9)
    assert set(measured["health"]) == {"repetition_count", "adaptive_proportion", "fips_140_2"}
    assert agent.programs[1][2:] == ["measure", "1216", "1024", "3", "5", "65536"]


def test_seconds_that_are_too_few_for_the_period_give_no_rate() -> None:
    agent = measuring(bytes(1024), "10.00 10.58 1024 1024 0 10.00 10.58")
    measured = view(agent, LIVE, GuestOptions(execute=True, measure=Limits(3)))["measured"]
    assert (measured["status"], measured["bytes"], measured["bytes_per_second"]) == ("measured", 1024, None)
    assert (
        measured["why"] == "a rate of 1024 B / 1000 ms does not show in 3 seconds: measure.seconds has to be at least 4"
    )


@pytest.mark.parametrize(
    ("agent", "live", "status", "words"),
    [
        (measuring(b"", "10.00 15.00 0 0 0"), LIVE, "no bytes", "/dev/hwrng gave nothing in 5 seconds"),
        (measuring(b"", "10.00 10.00 0 0 1"), LIVE, "error", "reading /dev/hwrng failed"),
        (measuring(b"", "nonsense"), LIVE, "error", "did not run the measurement"),
        (measuring(b"", "10.00 14.00 999999 0 0 11.00"), LIVE, "error", "contradict each other"),
        (FakeAgent({}, program=lambda arguments: (PROBED, b"", 0)), (), "no bytes", "it has no virtio RNG"),
        (
            measuring(b"", "", probe_output(f"{HW_RANDOM[1:]}rng_current:tpm-rng-0")),
            LIVE,
            "error",
            "draws from tpm-rng-0, not from a virtio RNG",
        ),
        (measuring(b"", "", probe_output()), LIVE, "error", "draws from no hardware RNG"),
        (FakeAgent(off=("exec",)), LIVE, "not allowed", "does not offer guest-exec"),
    ],
)
def test_unmeasured_guests(agent: FakeAgent, live: Any, status: str, words: str) -> None:
    measured = view(agent, live, MEASURE)["measured"]
    assert (measured["status"], measured["bytes"], measured["bytes_per_second"]) == (status, 0, None)
    assert words in measured["why"]
    assert set(measured["health"].values()) == {"not run"}


def test_a_guest_that_does_not_come_back_from_measuring() -> None:
    def program(arguments: list[str]) -> tuple[bytes, bytes, int]:
        if arguments[2:3] == ["measure"]:
            raise AgentError(TIMED_OUT, "late")
        return PROBED, b"", 0

    seen = view(FakeAgent({}, program=program), LIVE, MEASURE)
    assert (seen["status"], seen["measured"]["status"], seen["measured"]["why"]) == ("seen", "timed out", "late")


def test_several_devices_of_different_rates() -> None:
    other = FoundDevice(RngDevice.from_wire({"source": "/dev/urandom", "max_bytes": 4096}))
    agent = measuring(bytes(256), "10.00 10.10 65536 256 0 10.00 10.10")
    measured = view(agent, (*LIVE, other), MEASURE)["measured"]
    assert (measured["status"], measured["bytes"], measured["bytes_per_second"]) == ("measured", 65536, None)
    assert measured["why"] == "the rate of the one that it draws from is not known"
