# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of an audit: one line a machine, then what is to be done, the worst first."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.kernel.interpret import interpret, unseen
from ansible_collections.fleet.rng.plugins.module_utils.kernel.probe import collect
from ansible_collections.fleet.rng.plugins.plugin_utils.audit import audit
from ansible_collections.fleet.rng.plugins.plugin_utils.table import LINES


def machine(**facts: Any) -> dict[str, Any]:
    return {
        "role": "guest",
        "kernel": {"release": "6.1.0", "arch": "x86_64"},
        "current": "virtio_rng.0",
        "available": ["virtio_rng.0"],
        "cpu": ["rdrand"],
        "entropy_avail": 256,
        "entropy_meaning": "constant",
        "crng_ready": True,
        "findings": [],
        **facts,
    }


def finding(identifier: str, severity: str) -> dict[str, Any]:
    return {"id": identifier, "severity": severity, "message": f"What {identifier} says.", "remedy": "Mend it."}


def test_machines_and_findings() -> None:
    old = machine(
        role="host",
        kernel={"release": "4.9.0", "arch": "x86_64"},
        current=None,
        available=["tpm-rng-0"],
        cpu=[],
        entropy_avail=87,
        entropy_meaning="estimate",
        crng_ready=None,
        findings=[finding("RNG003", "warning"), finding("RNG009", "error")],
    )
    assert audit({"web1": machine(), "hv1": old, "hv2": None}) == [
        "machine  role         kernel  current RNG   other RNGs  CPU     entropy         CRNG     findings",
        "hv1      host         4.9.0   none          tpm-rng-0   -       87              unknown  1 error, 1 warning",
        "hv2      not audited  -       -             -           -       -               -        -",
        "web1     guest        6.1.0   virtio_rng.0  -           rdrand  256 (constant)  ready    -",
        "",
        "RNG009  error    hv1  What RNG009 says. Mend it.",
        "RNG003  warning  hv1  What RNG003 says. Mend it.",
        "",
        "Nothing has to be done on 1 of 3: web1.",
    ]


def test_of_a_hypervisor_that_is_elsewhere_nothing_is_claimed() -> None:
    row = audit({"pve1": unseen("only its API is asked")})[1]
    assert row.split() == ["pve1", "host", "-", "unknown", "-", "-", "-", "unknown", "-"]


def test_what_is_only_good_to_know_asks_for_nothing() -> None:
    machines = {f"web{number}": machine(findings=[finding("RNG014", "info")]) for number in range(9)}
    assert audit(machines)[-1] == "Nothing has to be done on 9 of 9: web0, web1, web2, web3, web4 and 4 more."
    assert not any("Nothing" in line for line in audit({"hv2": None}))


def result(source: str, status: str, rate: float | None, *verdicts: str) -> dict[str, Any]:
    names = ("repetition_count", "adaptive_proportion", "fips_140_2")
    health = dict(zip(names, verdicts, strict=True))
    return {"source": source, "status": status, "why": f"it is {status}", "bytes_per_second": rate, "health": health}


def test_sources_that_were_tested() -> None:
    good, bad, none = "no failure found", "failed", "not run"
    results = [
        result("/dev/urandom", "good", 146611007.7, good, good, none),
        result("/dev/hwrng", "failed", 512.4, good, bad, bad),
        result("/dev/random", "blocked", None, "too little data", "too little data", none),
        result("/dev/none", "missing", None, none, none, none),
    ]
    sources = {
        "hv1": {"sources": results, "findings": [finding("RNG017", "error")]},
        "hv2": {"skipped": True},
        "hv3": "",
        "hv4": {"sources": [7, {}], "findings": None},
    }
    machines = {name: machine() for name in sources}
    machines["hv1"]["findings"] = [finding("RNG003", "warning")]
    lines = audit(machines, sources=sources)
    assert [line.split("  ")[-1].strip() for line in lines[1:5]] == ["1 error, 1 warning", "-", "-", "-"]
    assert lines[5:] == [
        "",
        "machine  source        status   bytes per second  health tests                             why",
        "hv1      /dev/urandom  good     146611008         no failure found                         it is good",
        "hv1      /dev/hwrng    failed   512               failed: adaptive_proportion, fips_140_2  it is failed",
        "hv1      /dev/random   blocked  -                 too little data                          it is blocked",
        "hv1      /dev/none     missing  -                 -                                        it is missing",
        "hv4      None          None     -                 -                                        None",
        "",
        "RNG017  error    hv1  What RNG017 says. Mend it.",
        "RNG003  warning  hv1  What RNG003 says. Mend it.",
        "",
        "Nothing has to be done on 3 of 4: hv2, hv3, hv4.",
    ]


BROKER = {
    "status": "running",
    "classes": [{"name": "gold", "parent": None}],
    "serving": "/dev/hwrng",
    "waiting_long": 0,
    "guests_total": 12,
}


def test_brokers_have_a_line_each() -> None:
    lost = {**BROKER, "status": "stale", "why": "not updated for 90 seconds"}
    lines = audit({"hv1": machine(broker=BROKER), "hv2": machine(broker=None), "hv10": machine(broker=lost)})
    assert lines[4:7] == [
        "",
        "hv1   broker:  12 guests in 1 class, /dev/hwrng serving",
        "hv10  broker:  stale: not updated for 90 seconds",
    ]


def test_what_a_test_of_sources_says_is_escaped() -> None:
    sources = {"hv1": {"sources": [{**result("/dev/\x1b[2J", "good", 1.0, "x", "x", "x"), "why": "\u202e" * 999}]}}
    assert all(line.isprintable() for line in audit({"hv1": machine()}, sources=sources))


def test_a_kernel_that_is_not_ready_stands_out() -> None:
    assert "NOT READY" in audit({"web1": machine(crng_ready=False)})[1]


def test_what_a_machine_says_is_shown_as_text() -> None:
    line = audit({"web1": machine(current="\x1b[31mred\u202e{{7*7}}")})[1]
    assert "\\x1b[31mred\\u202e{{7*7}}" in line


def test_many_findings_are_counted_not_shown() -> None:
    lines = audit({f"web{number}": machine(findings=[finding("RNG003", "warning")]) for number in range(LINES + 3)})
    assert lines[-1] == "... and 3 more"


def test_it_takes_what_an_audit_of_this_machine_returns() -> None:
    assert audit({"here": interpret(collect("/"))})[1].startswith("here ")
