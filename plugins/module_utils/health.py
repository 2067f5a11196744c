# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has this source of random bytes failed? The two continuous health tests of NIST SP 800-90B (4.4), on a sample.

They notice a source that is stuck or has lost most of its entropy. Whatever passes may still be predictable: a Mersenne
Twister passes everything. So the best that is ever said is "no failure found".
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import groupby
from typing import Dict

NO_FAILURE, FAILED, TOO_LITTLE, NOT_RUN = "no failure found", "failed", "too little data", "not run"

WINDOW = 512  # samples that are not binary
START_UP = 1024  # samples that the standard wants before a source counts as tested

# All sources here claim to be conditioned: every byte has its full entropy.
_ENTROPY = 8.0
# The standard leaves 2^-20 to 2^-40 to choose, for each sample or window. With 2^-20 the repetition count test alone
# would call 1 of 250 sound guests failed, as a sample has 65536 bytes.
_FALSE_ALARM = 2.0**-40


def judge(sample: bytes, fips_140_2: str = NOT_RUN) -> Dict[str, str]:
    """The verdicts on bytes that were drawn.

    :param fips_140_2: what ``transport.rngtest`` said of the same bytes.
    """
    return {
        "repetition_count": repetition_count(sample, repetition_cutoff(_ENTROPY, _FALSE_ALARM)),
        "adaptive_proportion": adaptive_proportion(sample, proportion_cutoff(_ENTROPY, _FALSE_ALARM)),
        "fips_140_2": fips_140_2,
    }


def repetition_cutoff(entropy: float, false_alarm: float) -> int:
    """How many equal samples in a row are a failure (4.4.1).

    :param entropy: claimed bits of min-entropy of a sample.
    :param false_alarm: probability that a sound source fails, at each sample.
    """
    return 1 + math.ceil(-math.log2(false_alarm) / entropy)


@lru_cache(maxsize=None)
def proportion_cutoff(entropy: float, false_alarm: float, window: int = WINDOW) -> int:
    """How often the first sample of a window may not be in it (4.4.2); the arguments are as above."""
    return 1 + critical(window, 2.0**-entropy, false_alarm)


def critical(trials: int, probability: float, false_alarm: float) -> int:
    """The smallest number that a binomial variable exceeds with no more than this probability."""
    tail, number = 0.0, trials
    while number >= 0:
        # Terms from the small end up: summing from 0 would lose them next to 1.
        logarithm = (
            math.lgamma(trials + 1) - math.lgamma(number + 1) - math.lgamma(trials - number + 1)
            + number * math.log(probability) + (trials - number) * math.log1p(-probability)
        )  # fmt: skip
        tail += math.exp(logarithm)
        if tail > false_alarm:
            return number
        number -= 1
    return 0


def repetition_count(sample: bytes, cutoff: int) -> str:
    """No byte comes ``cutoff`` times in a row."""
    longest = max((sum(1 for dummy in run) for dummy, run in groupby(sample)), default=0)
    return _verdict(longest >= cutoff, sample)


def adaptive_proportion(sample: bytes, cutoff: int, window: int = WINDOW) -> str:
    """In no window the first byte comes ``cutoff`` times; what does not fill a window can only fail."""
    windows = (sample[at : at + window] for at in range(0, len(sample), window))
    return _verdict(any(part.count(part[0]) >= cutoff for part in windows), sample)


def _verdict(failed: bool, sample: bytes) -> str:
    if failed:
        return FAILED
    return NO_FAILURE if len(sample) >= START_UP else TOO_LITTLE
