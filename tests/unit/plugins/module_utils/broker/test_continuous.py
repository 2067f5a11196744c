# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health tests on streams, against the standard read byte by byte, however the stream is cut into blocks."""

from __future__ import annotations

import random

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import continuous
from ansible_collections.fleet.rng.plugins.module_utils.broker.continuous import CLAIM, HealthTests
from ansible_collections.fleet.rng.plugins.module_utils.health import FAILED, NO_FAILURE, START_UP, TOO_LITTLE, WINDOW
from hypothesis import example, given, settings
from hypothesis import strategies as st


def twister(seed: int = 1) -> random.Random:
    return random.Random(seed)  # noqa: S311 - data that can be had again


def reference(stream: bytes, repetitions: int, proportion: int) -> tuple[int | None, int | None]:
    """At which byte each of the two tests fails first, as SP 800-90B 4.4.1 and 4.4.2 go through the samples."""
    repeated = crowded = None
    run, window, count = 0, 0, 0
    first = before = -1
    for at, sample in enumerate(stream):
        run = run + 1 if sample == before else 1
        before = sample
        if run >= repetitions and repeated is None:
            repeated = at
        if window == 0:
            first, count = sample, 1
        elif sample == first:
            count += 1
        window = (window + 1) % WINDOW
        if count >= proportion and crowded is None:
            crowded = at
    return repeated, crowded


def salted(seed: int, size: int, share: float) -> bytes:
    """Random bytes, in which the first one comes oftener than it should."""
    source = twister(seed)
    data = bytearray(source.randbytes(size))
    for at in range(size):
        if source.random() < share:
            data[at] = data[0]
    return bytes(data)


PARTS = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda byte, count: bytes([byte]) * count, st.integers(0, 255), st.integers(1, 12)),
    st.builds(lambda seed, size: twister(seed).randbytes(size), st.integers(0, 9), st.integers(1, 1500)),
    st.builds(salted, st.integers(0, 9), st.integers(1, 1500), st.sampled_from([0.01, 0.03, 0.06])),
)
STREAMS = st.lists(PARTS, max_size=8).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(STREAMS, st.sampled_from([8.0, 7.0, CLAIM, 4.0]), st.data())
def test_the_same_as_the_standard_byte_by_byte(stream: bytes, entropy: float, data: st.DataObject) -> None:
    tests = HealthTests(entropy, 0)
    repeated, crowded = reference(stream, tests.repetitions, tests.proportion)
    failures = [at for at in (repeated, crowded) if at is not None]
    at = 0
    while at < len(stream):
        size = data.draw(st.one_of(st.integers(1, 20), st.integers(1, 1100)))
        block = stream[at : at + size]
        end = at + len(block)
        screened = tests.screen(block)
        if failures and min(failures) < end:
            words = {"repetition count": repeated, "adaptive proportion": crowded}
            said = words[tests.failed]
            assert said is not None
            assert at <= said < end
            assert screened == b""
            return
        assert tests.failed == ""
        assert screened == block
        at = end
    assert not failures


@pytest.mark.parametrize("size", [1, 2, 7, 511, 512, 513, 4096])
@pytest.mark.parametrize("offset", [0, 1, 500, 509, 511, 512, 1020, 1023, 4093])
def test_a_run_is_found_wherever_it_lies(size: int, offset: int) -> None:
    cutoff = HealthTests().repetitions
    noise = twister().randbytes(6000)
    for length, failed in ((cutoff - 1, ""), (cutoff, "repetition count")):
        middle = bytes([noise[offset] ^ 1 if noise[offset] ^ 1 != noise[offset - 1] else noise[offset] ^ 2]) * length
        stream = noise[:offset] + middle + noise[offset:]
        tests = HealthTests()
        for at in range(0, len(stream), size):
            tests.screen(stream[at : at + size])
        assert tests.failed == failed


def test_a_block_that_ends_with_zeros_ends_there() -> None:
    tests = HealthTests(CLAIM, 0)
    block = b"ab" + bytes(tests.repetitions - 1)
    assert tests.screen(block) == block


@pytest.mark.parametrize("size", [1, 3, 300, 512, 700, 2048])
def test_a_window_is_counted_across_blocks_and_only_within_it(size: int) -> None:
    cutoff = HealthTests().proportion
    other = bytes(range(1, 256)) * 3
    for inside, failed in ((cutoff, "adaptive proportion"), (cutoff - 1, "")):
        # Zeros, never two in a row: so many in the second window, and more in the third, whose first byte is another.
        second = b"".join(bytes([0, byte]) for byte in other[:inside]) + other[: WINDOW - 2 * inside]
        third = other[:10] + b"".join(bytes([0, byte]) for byte in other[:60])
        stream = other[:WINDOW] + second + third
        tests = HealthTests(CLAIM, 0)
        for at in range(0, len(stream), size):
            tests.screen(stream[at : at + size])
        assert tests.failed == failed


def test_the_start_up_test_comes_first_and_its_bytes_are_kept_back() -> None:
    noise = twister().randbytes(3000)
    tests = HealthTests()
    assert tests.results() == {"repetition_count": TOO_LITTLE, "adaptive_proportion": TOO_LITTLE}
    given_out = b"".join(tests.screen(noise[at : at + 100]) for at in range(0, 3000, 100))
    assert given_out == noise[START_UP:]
    assert tests.results() == {"repetition_count": NO_FAILURE, "adaptive_proportion": NO_FAILURE}


def test_a_failure_is_for_good_and_nothing_of_its_block_is_handed_out() -> None:
    noise = twister().randbytes(2000)
    tests = HealthTests()
    assert tests.screen(noise) == noise[START_UP:]
    assert tests.screen(noise + bytes(20) + noise) == b""
    assert tests.failed == "repetition count"
    assert tests.screen(noise) == b""
    assert tests.results() == {"repetition_count": FAILED, "adaptive_proportion": TOO_LITTLE}


@pytest.mark.parametrize(
    ("stream", "failed"),
    [
        pytest.param(bytes(100), "repetition count", id="stuck"),
        pytest.param(bytes([1, 2] * 500), "adaptive proportion", id="two words"),
        pytest.param(b"The quick brown fox jumps over the lazy dog. " * 100, "adaptive proportion", id="text"),
        pytest.param(bytes(range(256)) * 8, "", id="a counter, which no test of this kind finds"),
        pytest.param(twister().randbytes(1 << 20), "", id="random"),
        pytest.param(bytes(byte & 0x3F for byte in twister().randbytes(1 << 20)), "", id="raw: 6 bits in a byte"),
        pytest.param(
            bytes(byte & 0x07 for byte in twister().randbytes(1 << 16)), "adaptive proportion", id="3 bits in a byte"
        ),
    ],
)
def test_what_the_default_claim_finds(stream: bytes, failed: str) -> None:
    tests = HealthTests()
    tests.screen(stream)
    assert tests.failed == failed


def test_a_raw_source_would_fail_at_a_claim_of_full_entropy() -> None:
    stream = bytes(byte & 0x3F for byte in twister().randbytes(1 << 20))
    tests = HealthTests(8.0)
    tests.screen(stream)
    assert tests.failed == "adaptive proportion"


def test_cutoffs_of_the_default() -> None:
    tests = HealthTests()
    assert (tests.repetitions, tests.proportion) == (8, 35)
    assert continuous.FALSE_ALARM == 2.0**-40


@pytest.mark.parametrize(
    ("quality", "bits"),
    [
        ("1024", 8.0),
        ("1000", 7.8125),
        ("320", 2.5),
        ("1", 0.5),
        ("0", CLAIM),
        ("", CLAIM),
        ("2048", CLAIM),
        ("x", CLAIM),
    ],
)
def test_claims_of_the_kernel(quality: str, bits: float) -> None:
    assert continuous.claim(quality) == bits
    HealthTests(bits)


@settings(max_examples=50)
@given(st.binary(max_size=10))
@example(b"")
def test_short_and_empty_blocks(block: bytes) -> None:
    tests = HealthTests(CLAIM, 0)
    assert tests.screen(b"") == b""
    tests.screen(block)
    assert tests.screen(b"") == b""
