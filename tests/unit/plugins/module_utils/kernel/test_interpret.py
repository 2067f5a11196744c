# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreting snapshots: of real kernels by table, of any text by property."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel import findings, probe
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER
from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret, unseen
from hypothesis import given
from hypothesis import strategies as st

CASES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[3] / "cases/kernel").glob("*.json"))
}
HW_RANDOM = "/sys/devices/virtual/misc/hw_random/"


@pytest.mark.parametrize("name", CASES)
def test_recorded_machine(name: str) -> None:
    rng = interpret(CASES[name]["snapshot"])
    rng["findings"] = [finding["id"] for finding in rng["findings"]]
    assert rng == CASES[name]["expected"]


def test_the_kernels_and_architectures_that_were_promised_are_there() -> None:
    kernels = [case["expected"]["kernel"] for case in CASES.values()]
    releases = {".".join((kernel["release"] or "").split(".")[:2]) for kernel in kernels}
    assert releases >= {"4.19", "5.4", "5.10", "5.15", "6.1", "6.18"}
    assert {kernel["arch"] for kernel in kernels} >= {"x86_64", "aarch64", "s390x", "ppc64le"}
    assert {case["expected"]["role"] for case in CASES.values()} >= {"host", "guest", "bare_metal", "container"}


def test_a_case_speaks_only_of_paths_that_are_read() -> None:
    for name, case in CASES.items():
        for path in case["snapshot"]:
            plain = path.lstrip("!").lstrip("/")
            known = path in ("uname", "hwrng", "now") or plain in probe.MARKS or plain.endswith("/comm")
            assert known or any(Path(plain).match(pattern) for pattern in probe.FILES), (name, path)


@pytest.mark.parametrize("rule", findings.RULES, ids=lambda rule: rule.id)
def test_every_rule_is_met_by_a_machine_and_missed_by_another(rule: findings.Rule) -> None:
    met = [rule.id in case["expected"]["findings"] for case in CASES.values()]
    assert any(met)
    assert not all(met)


@pytest.mark.parametrize(
    "name", ["linux-6.18-guest", "debian-6.1-guest", "debian-4.19-guest", "ubuntu-5.4-host", "arm64-5.15-raspberry"]
)
def test_a_sound_machine_has_no_findings(name: str) -> None:
    assert interpret(CASES[name]["snapshot"])["findings"] == []


def test_a_finding_carries_its_evidence() -> None:
    rng = interpret(CASES["debian-6.1-guest-starved"]["snapshot"])
    (finding,) = rng["findings"]
    assert finding == {
        "id": "RNG006",
        "severity": "warning",
        "subject": "/dev/hwrng",
        "message": "The hardware RNG virtio_rng.0 gave no byte: no answer within a second.",
        "remedy": finding["remedy"],
        "evidence": {"current": "virtio_rng.0", "hwrng": rng["hwrng"]},
    }


@pytest.mark.parametrize(
    ("release", "poolsize", "meaning"),
    [
        ("4.19.0", "4096", "estimate"),
        ("4.14.35-2047.515.3.el7uek.x86_64", "256", "constant"),  # a vendor's backport
        ("5.16.20", "4096", "estimate"),
        ("5.17.5", "256", "estimate"),
        ("5.18.0", "256", "estimate"),
        ("5.19.0", "256", "constant"),
        ("7.0.0", "4096", "estimate"),  # the evidence goes before the release
        ("6.1.0", None, "constant"),
        ("5.10.0", None, None),
        ("custom", "256", "constant"),
        ("custom", None, None),
    ],
)
def test_the_meaning_of_entropy_avail(release: str, poolsize: str | None, meaning: str | None) -> None:
    snapshot = {"/proc/sys/kernel/osrelease": release + "\n"}
    if poolsize:
        snapshot["/proc/sys/kernel/random/poolsize"] = poolsize + "\n"
    assert interpret(snapshot)["entropy_meaning"] == meaning


@pytest.mark.parametrize(
    ("cmdline", "arguments"),
    [
        ("random.trust-cpu=off quiet", {"random.trust_cpu": "off"}),
        (
            '"random.trust_cpu=on"  rng_core.default_quality=700',
            {"random.trust_cpu": "on", "rng_core.default_quality": "700"},
        ),
        ("nordrand fips=1", {"nordrand": "", "fips": "1"}),
        ("quiet -- random.trust_cpu=off", {}),
        ("random.trust_cpu=on random.trust_cpu=off", {"random.trust_cpu": "off"}),
        ("xrandom.a=1 notfips=1 fips", {"fips": ""}),
    ],
)
def test_kernel_arguments(cmdline: str, arguments: dict[str, str]) -> None:
    assert interpret({"/proc/cmdline": cmdline + "\n"})["arguments"] == arguments


@pytest.mark.parametrize(
    ("text", "os"),
    [
        (
            'NAME="Red Hat Enterprise Linux"\nVERSION_ID="9.4"\nID="rhel"\nPRETTY_NAME=x\n',
            {"id": "rhel", "version": "9.4", "name": "Red Hat Enterprise Linux"},
        ),
        ("ID=alpine\nVERSION_ID=3.20.1\n# NAME=x\n", {"id": "alpine", "version": "3.20.1", "name": ""}),
        ("ID='a b\nNAME='it'\\''s'\n", {"id": "'a b", "version": "", "name": "it's"}),
        ("ID=\x1b[2J\n", {"id": "\\x1b[2J", "version": "", "name": ""}),
        ("", {"id": "", "version": "", "name": ""}),
    ],
)
def test_the_distribution(text: str, os: dict[str, str]) -> None:
    assert interpret({"/etc/os-release": text})["os"] == os


@pytest.mark.parametrize("value", ["0", "off", "n", "No", "N", "false"])
def test_an_untrusted_cpu_is_reported(value: str) -> None:
    snapshot = {**CASES["linux-6.18-guest"]["snapshot"], "/proc/cmdline": f"random.trust_cpu={value}\n"}
    assert [finding["id"] for finding in interpret(snapshot)["findings"]] == ["RNG012"]


def test_an_unreadable_rng_current_is_not_taken_for_none() -> None:
    snapshot = dict(CASES["linux-6.18-guest"]["snapshot"])
    del snapshot[HW_RANDOM + "rng_current"]
    snapshot["!" + HW_RANDOM + "rng_current"] = "Permission denied"
    rng = interpret(snapshot)
    assert rng["findings"] == []
    assert rng["unreadable"] == [{"path": HW_RANDOM + "rng_current", "reason": "Permission denied"}]


def test_the_mark_of_an_image_does_not_make_a_machine_a_container() -> None:
    snapshot = {**CASES["linux-6.18-guest"]["snapshot"], "/.dockerenv": ""}
    assert interpret(snapshot)["role"] == "guest"
    del snapshot["/proc/2/comm"]
    assert interpret(snapshot)["role"] == "container"


PATHS = [
    *("/" + name.replace("*", "virtio0") for name in probe.FILES),
    *("/" + name for name in probe.MARKS),
    *("!/" + name for name in probe.FILES),
    *(BROKER, "!" + BROKER),
    *("uname", "hwrng", "now", "/proc/7/comm", "/sys/bus/virtio/devices/../device"),
]
WORDS = st.sampled_from(
    [
        "virtio_rng.0",
        "none",
        "256",
        "4096",
        "0x4",
        "-1",
        "5.4.0",
        "6.1",
        "flags : rdrand hypervisor",
        "rngd",
        "\x1b[31m",
        "\u202e",
    ]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=4).map(" ".join), WORDS.map(lambda word: word + "\n"))
TYPES = {
    "available": (list, type(None)),
    "current": (str, type(None)),
    "selected": (bool, type(None)),
    "quality": (int, type(None)),
    "hwrng": dict,
    "entropy_avail": (int, type(None)),
    "poolsize": (int, type(None)),
    "entropy_meaning": (str, type(None)),
    "crng_ready": (bool, type(None)),
    "crng_why": str,
    "cpu": (list, type(None)),
    "kernel": dict,
    "os": (dict, type(None)),
    "arguments": (dict, type(None)),
    "fips": (bool, type(None)),
    "virtio_rng": (str, type(None)),
    "virtio_devices": list,
    "daemons": (list, type(None)),
    "broker": (dict, type(None)),
    "role": (str, type(None)),
    "role_why": str,
    "unreadable": list,
    "findings": list,
}


@given(st.dictionaries(st.one_of(st.sampled_from(PATHS), st.text(max_size=20)), TEXTS, max_size=12))
def test_any_snapshot_gives_a_bounded_result_of_fixed_types_without_control_characters(
    snapshot: dict[str, str],
) -> None:
    rng = interpret(snapshot)
    assert {key: type(value) for key, value in rng.items() if not isinstance(value, TYPES[key])} == {}
    assert list(rng) == list(TYPES)
    for text in _strings(rng):
        assert len(text) <= 600
        assert text.isprintable()
    json.dumps(rng).encode("ascii")


def test_of_a_hypervisor_that_is_elsewhere_nothing_is_known_and_nothing_is_judged() -> None:
    rng = unseen("only its API\nis asked")
    assert list(rng) == list(TYPES)
    assert (rng["role"], rng["findings"]) == ("host", [])
    assert rng["unreadable"] == [{"path": "/", "reason": r"only its API\x0ais asked"}]
    told = {*("hwrng", "kernel", "role", "role_why", "crng_why", "unreadable", "findings", "virtio_devices")}
    assert {name for name, value in rng.items() if value is not None} == told


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in _strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []
