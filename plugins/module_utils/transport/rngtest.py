# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of FIPS 140-2 on a sample, by rngtest of the rng-tools, where that is installed on this machine."""

from __future__ import annotations

import subprocess

from ..health import FAILED, NO_FAILURE, NOT_RUN, TOO_LITTLE, critical

PROGRAM = "rngtest"
SECONDS = 30.0

_START = 4  # bytes that the continuous run test takes before the first block
_BLOCK = 2500
# A sound source fails one block of 700 or so; as many as these are a failure of the source.
_SOUND_FAILURES = 0.0015
_FALSE_ALARM = 2.0**-20


def fips_140_2(sample: bytes) -> str:
    """The verdict of rngtest, in the words of ``health``."""
    blocks = (len(sample) - _START) // _BLOCK
    if blocks < 1:
        return TOO_LITTLE
    try:
        # As a pipe it passes on the blocks that are sound, so they can be counted without reading its prose.
        done = subprocess.run(
            [PROGRAM, "--pipe", f"--blockcount={blocks}"],
            input=sample[: _START + blocks * _BLOCK],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return NOT_RUN
    if done.returncode not in (0, 1):  # 1: a block failed; the rest: it could not do its work
        return NOT_RUN
    failed = blocks - len(done.stdout) // _BLOCK
    by_chance = critical(blocks, _SOUND_FAILURES, _FALSE_ALARM)
    if failed > by_chance:
        return FAILED
    return TOO_LITTLE if failed and by_chance == blocks else NO_FAILURE
