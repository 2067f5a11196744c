# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health tests: cutoffs against those that NIST published, and sources of every quality."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils import health
from ansible_collections.fleet.rng.plugins.module_utils.health import FAILED, NO_FAILURE, NOT_RUN, TOO_LITTLE

SIZE = 65536
NIST = 2.0**-20  # the probability behind the published figures


@pytest.mark.parametrize(
    ("entropy", "repetition", "proportion"), [(0.5, 41, 410), (1, 21, 311), (2, 11, 177), (4, 6, 62), (8, 4, 13)]
)
def test_cutoffs_are_the_published_ones(entropy: float, repetition: int, proportion: int) -> None:
    assert health.repetition_cutoff(entropy, NIST) == repetition
    assert health.proportion_cutoff(entropy, NIST) == proportion


@pytest.mark.parametrize(("entropy", "proportion"), [(0.2, 941), (0.4, 840), (0.6, 748), (0.8, 664), (1, 589)])
def test_cutoffs_of_binary_samples_are_the_published_ones(entropy: float, proportion: int) -> None:
    assert health.proportion_cutoff(entropy, NIST, window=1024) == proportion


def test_cutoff_of_another_choice_of_false_alarms() -> None:
    assert health.repetition_cutoff(1, 2.0**-30) == 31
    assert health.proportion_cutoff(1, 2.0**-30) == 325  # as in Linux' own jitter RNG


def twister() -> random.Random:
    """Passes every test, and whoever knows the seed knows all."""
    return random.Random(1)  # noqa: S311 - that is the point


def biased(share: float) -> bytes:
    source = twister()
    return bytes(sum((source.random() < share) << bit for bit in range(8)) for dummy in range(SIZE))


@pytest.mark.parametrize(
    ("sample", "repetition", "proportion"),
    [
        pytest.param(bytes(SIZE), FAILED, FAILED, id="zeros"),
        pytest.param(Path(__file__).read_bytes(), FAILED, FAILED, id="text"),
        pytest.param(biased(0.7), NO_FAILURE, FAILED, id="strongly biased"),
        pytest.param(biased(0.55), NO_FAILURE, NO_FAILURE, id="slightly biased"),
        pytest.param(twister().randbytes(SIZE), NO_FAILURE, NO_FAILURE, id="predictable all the same"),
        pytest.param(twister().randbytes(1024), NO_FAILURE, NO_FAILURE, id="just enough"),
        pytest.param(twister().randbytes(1023), TOO_LITTLE, TOO_LITTLE, id="not enough"),
        pytest.param(bytes(30), FAILED, FAILED, id="not enough, but bad"),
        pytest.param(bytes(range(256)) * 4, NO_FAILURE, NO_FAILURE, id="a counter"),
        pytest.param(b"", TOO_LITTLE, TOO_LITTLE, id="nothing"),
    ],
)
def test_judgement(sample: bytes, repetition: str, proportion: str) -> None:
    assert health.judge(sample) == {
        "repetition_count": repetition,
        "adaptive_proportion": proportion,
        "fips_140_2": NOT_RUN,
    }


def test_what_one_sample_of_250_has_by_chance_is_no_failure() -> None:
    sample = twister().randbytes(SIZE // 2) + bytes(4) + twister().randbytes(SIZE // 2)
    assert health.repetition_count(sample, health.repetition_cutoff(8, NIST)) == FAILED
    assert health.judge(sample)["repetition_count"] == NO_FAILURE


def test_what_rngtest_said_is_passed_on() -> None:
    assert health.judge(b"", FAILED)["fips_140_2"] == FAILED


def test_a_run_or_a_window_at_its_cutoff_fails_and_below_it_does_not() -> None:
    rest = bytes(range(1, 200)) * 6
    assert health.repetition_count(rest + bytes(3), 4) == NO_FAILURE
    assert health.repetition_count(rest + bytes(4), 4) == FAILED
    window = bytes([7]) + rest[:511].replace(bytes([7]), bytes([8]))
    for count, verdict in ((12, NO_FAILURE), (13, FAILED)):
        samples = bytearray(window + bytes(range(256)) * 2)
        samples[2 : 2 * count : 2] = bytes([7]) * (count - 1)
        assert health.adaptive_proportion(bytes(samples), 13) == verdict


@pytest.mark.parametrize(("trials", "number"), [(1, 1), (26, 3), (1000, 10)])
def test_critical_number_of_rare_failures(trials: int, number: int) -> None:
    assert health.critical(trials, 0.0015, NIST) == number


def test_critical_number_of_an_impossible_demand() -> None:
    assert health.critical(3, 0.5, 1.0) == 0
