# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner that tests sources: its limits, and that each source has a result of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.module_utils import health
from ansible_collections.fleet.rng.plugins.module_utils.device import Source
from ansible_collections.fleet.rng.plugins.module_utils.kernel.measure import Limits
from ansible_collections.fleet.rng.plugins.module_utils.kernel.sources import STATUSES, Drawn
from ansible_collections.fleet.rng.plugins.module_utils.module import sources
from ansible_collections.fleet.rng.plugins.modules import rng_source_info

NOT_RUN = dict.fromkeys(("repetition_count", "adaptive_proportion", "fips_140_2"), "not run")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Limits]]:
    """What the readers were asked for; zeros come of /dev/zeros, and nothing of the rest."""
    calls = []

    def drawn(source: Source) -> Drawn:
        if str(source) == "/dev/zeros":
            return Drawn("complete", count=5000, seconds=0.5, last=0.5, sample=bytes(5000))
        return Drawn("missing", "No such file or directory")

    def draw_all(given: Sequence[Source], limits: Limits) -> list[Drawn]:
        calls.append(([str(source) for source in given], limits))
        return [drawn(source) for source in given]

    monkeypatch.setattr(sources, "draw_all", draw_all)
    monkeypatch.setattr(sources, "fips_140_2", lambda sample: health.NOT_RUN)
    return calls


@pytest.mark.parametrize("check", [False, True])
def test_results_in_order_each_source_once(check: bool, asked: list[Any], run_module: Any) -> None:
    names = ["/dev/zeros", "no source", "/dev/other", "/dev/zeros"]
    result = run_module(rng_source_info.main, check=check, sources=names)
    assert asked == [(["/dev/zeros", "/dev/other"], Limits(5, 65536))]
    assert (result["changed"], result["failed"]) == (False, False)
    zeros, none, other = result["sources"]
    assert zeros == {
        "source": "/dev/zeros",
        "status": "failed",
        "why": "the bytes failed a health test: repetition_count, adaptive_proportion",
        "bytes": 5000,
        "seconds": 0.5,
        "bytes_per_second": 10000.0,
        "health": {"repetition_count": "failed", "adaptive_proportion": "failed", "fips_140_2": "not run"},
    }
    assert (none["source"], none["status"], none["health"]) == ("no source", "error", NOT_RUN)
    assert none["why"].startswith("source: 'no source' is not valid; allowed: ")
    assert (other["source"], other["status"], other["health"]) == ("/dev/other", "missing", NOT_RUN)
    assert [(finding["id"], finding["subject"]) for finding in result["findings"]] == [("RNG017", "/dev/zeros")]


def test_limits_and_threshold_reach_the_readers(asked: list[Any], run_module: Any) -> None:
    options = {"seconds": 60, "bytes": 256, "min_bytes_per_second": 10001}
    run_module(rng_source_info.main, sources=["/dev/other"], **options)
    assert asked == [(["/dev/other"], Limits(60, 256))]


def test_nothing_to_test(run_module: Any) -> None:
    assert run_module(rng_source_info.main, sources=[])["sources"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0}, "seconds: 0 is not valid; allowed: seconds, an integer from 1 to 60"),
        ({"seconds": 61}, "seconds: 61 is not valid; allowed: seconds, an integer from 1 to 60"),
        ({"bytes": 255}, "bytes: 255 is not valid; allowed: bytes, an integer from 256 to 16777216"),
        ({"bytes": 16777217}, "bytes: 16777217 is not valid; allowed: bytes, an integer from 256 to 16777216"),
        (
            {"min_bytes_per_second": -1},
            "min_bytes_per_second: -1 is not valid; allowed: bytes per second, an integer from 0 to " + str(2**63 - 1),
        ),
        (
            {"sources": [f"/dev/rng{number}" for number in range(65)]},
            "sources: '65 of them' is not valid; allowed: no more than 64",
        ),
    ],
)
def test_limits_of_the_options(options: dict[str, Any], message: str, asked: list[Any], run_module: Any) -> None:
    result = run_module(rng_source_info.main, **{"sources": ["/dev/other"], **options})
    assert (result["failed"], result["msg"], asked) == (True, message, [])


def test_the_documentation_names_every_status() -> None:
    returned = yaml.safe_load(rng_source_info.RETURN)["sources"]["contains"]
    assert tuple(returned["status"]["choices"]) == STATUSES
    assert set(returned["health"]["contains"]) == set(NOT_RUN)
