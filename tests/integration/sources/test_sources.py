# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources that are good, slow, stuck, biased, at their end, silent or hanging, read by the real module."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from integration.sources.conftest import examine, running
from lab import Host, Lab
from lab.process import wait_for

GOOD, BAD, LITTLE, NOT_RUN = "no failure found", "failed", "too little data", "not run"
PREPARE = """
mkdir -p /srv/rng && cd /srv/rng
head -c 4096 /dev/urandom > regular
mkfifo fifo
mkdir -m 0777 open
ln -s /dev/urandom open/link
ln -sf /dev/urandom /dev/link
"""
KINDS = ("good", "stuck", "biased", "end", "silent", "burst", "rate=200")
NAMED = {kind.partition("=")[0]: kind for kind in KINDS}

Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def results(lab: Lab, machine: Host, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """All of them in one run of the module, by kind or path."""
    machine.check("sh", "-ec", PREPARE)
    others = [
        *(
            "/dev/urandom",
            "/dev/link",
            "builtin",
            "/dev/null",
            "/srv/rng/regular",
            "/srv/rng/fifo",
            "/srv/rng/open/link",
        ),
        *(
            "/dev/nothing",
            "/dev/net/tun",
            "/dev/hwrng",
            "egd+unix:/srv/rng/nobody",
            "egd+tcp://127.0.0.1:9",
            "no source",
        ),
    ]
    with running(machine, "terminals.py", *KINDS) as said:
        paths = json.loads(said)["paths"]
        options = {"seconds": 8, "bytes": 65536, "min_bytes_per_second": 400}
        sources = [*paths.values(), *others]
        result = examine(lab, "machine", tmp_path_factory.mktemp("results"), sources=sources, **options)
    assert [one["source"] for one in result["sources"]] == sources
    kinds = {path: kind for kind, path in paths.items()}
    found = {kinds.get(one["source"], one["source"]): one for one in result["sources"]}
    return {**found, "findings": {finding["subject"]: finding["id"] for finding in result["findings"]}, "paths": paths}


@pytest.mark.parametrize(
    ("kind", "status", "health"),
    [
        ("/dev/urandom", "good", (GOOD, GOOD, GOOD)),
        ("/dev/link", "good", (GOOD, GOOD, GOOD)),
        ("builtin", "good", (GOOD, GOOD, GOOD)),
        ("stuck", "failed", (BAD, BAD, BAD)),
        ("biased", "failed", (GOOD, GOOD, BAD)),
        ("rate", "slow", None),
        ("silent", "blocked", (NOT_RUN, NOT_RUN, NOT_RUN)),
        ("burst", "blocked", (LITTLE, LITTLE, LITTLE)),
        ("end", "end of file", (NOT_RUN, NOT_RUN, NOT_RUN)),
    ],
)
def test_what_can_be_read(kind: str, status: str, health: tuple[str, str, str] | None, results: Results) -> None:
    found = results[NAMED.get(kind, kind)]
    assert found["status"] == status, found
    if health:
        assert found["health"] == dict(
            zip(("repetition_count", "adaptive_proportion", "fips_140_2"), health, strict=True)
        )


def test_a_terminal_can_be_good(results: Results) -> None:
    """However slow the machine is: it has as many bytes as came in time, and enough of them."""
    found = results["good"]
    assert found["status"] == "good", found
    assert 1024 <= found["bytes"] <= 65536
    assert found["health"]["repetition_count"] == GOOD


def test_a_rate_is_never_overrated(results: Results) -> None:
    found = results["rate=200"]
    assert 0 < found["bytes_per_second"] <= 200 + 256 / 8 + 64 / 8, "its pace, and what was ready beforehand"


def test_no_byte_more_than_asked_for(results: Results) -> None:
    assert results["burst"]["bytes"] == 100
    assert all(one["bytes"] <= 65536 for one in results.values() if "bytes" in one)


@pytest.mark.parametrize(
    ("source", "status", "why"),
    [
        ("/dev/null", "unsafe", "device 1:3 is no source of randomness"),
        ("/srv/rng/regular", "unsafe", "is a regular file, only a character device is safe"),
        ("/srv/rng/fifo", "unsafe", "is a FIFO, only a character device is safe"),
        ("/srv/rng/open/link", "unsafe", "others than root can write to /srv/rng/open"),
        ("/dev/hwrng", "unsafe", "the kernel of this host has no hardware RNG selected (rng_current)"),
        ("/dev/nothing", "missing", "No such file or directory"),
        ("/dev/net/tun", "error", "cannot be read: File descriptor in bad state"),
        ("egd+unix:/srv/rng/nobody", "missing", "cannot be read: No such file or directory"),
        ("egd+tcp://127.0.0.1:9", "error", "cannot be read: Connection refused"),
        ("no source", "error", "source: 'no source' is not valid"),
    ],
)
def test_what_cannot_be_read(source: str, status: str, why: str, results: Results) -> None:
    found = results[source]
    assert (found["status"], found["bytes"], found["bytes_per_second"]) == (status, 0, None)
    assert found["why"].startswith(why)


def test_findings(results: Results) -> None:
    paths = results["paths"]
    expected = {
        paths["stuck"]: "RNG017",
        paths["biased"]: "RNG017",
        paths["silent"]: "RNG018",
        paths["burst"]: "RNG018",
        paths["end"]: "RNG019",
        paths["rate=200"]: "RNG020",
        "/dev/net/tun": "RNG021",
        "egd+tcp://127.0.0.1:9": "RNG021",
    }
    assert results["findings"] == expected


def test_a_path_that_hangs_in_the_kernel_holds_up_nobody(lab: Lab, machine: Host, tmp_path: Path) -> None:
    """Its reader cannot be killed, and SSH would wait for it as long as it keeps the module's output open."""
    with running(machine, "hang.py", "/srv/hang"):
        result = examine(lab, "machine", tmp_path, sources=["/srv/hang/rng", "/dev/urandom"], seconds=1)
        hanging, sound = result["sources"]
        assert sound["status"] == "good"
        assert hanging["status"] == "blocked"
        pid = re.fullmatch(
            r"looking at it hangs in the kernel, and cannot be ended \(process ([0-9]+)\)", hanging["why"]
        )
        assert pid, hanging
        assert "\nState:\tD " in machine.check("cat", f"/proc/{pid[1]}/status")
    wait_for("the end of the reader", lambda: machine.run("test", "-e", f"/proc/{pid[1]}").returncode != 0)


@pytest.fixture(scope="module")
def guests(lab: Lab) -> Lab:
    """Guests whose root directory is root's alone, as on any system but one that is all initramfs."""
    for guest in lab.guests:
        guest.run("chmod 0755 /")
    return lab


def test_a_hardware_rng_with_a_quota(guests: Lab, tmp_path: Path) -> None:
    """In a guest, whose /dev/hwrng is a real one of 1024 bytes a second."""
    options = {"sources": ["/dev/hwrng"], "seconds": 8, "min_bytes_per_second": 8192}
    found = examine(guests, "slow", tmp_path, **options)["sources"][0]
    assert found["status"] == "slow", found
    assert 0 < found["bytes_per_second"] <= 1.5 * 1024, "the first quota is free"


def test_a_hardware_rng_that_gives_nothing(guests: Lab, tmp_path: Path) -> None:
    """A guest's driver waits in the kernel for a device that does not answer."""
    found = examine(guests, "dry", tmp_path, sources=["/dev/hwrng"], seconds=2)["sources"][0]
    assert (found["status"], found["bytes"]) == ("blocked", 0), found
