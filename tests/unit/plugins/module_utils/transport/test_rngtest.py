# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rngtest, the real one where it is installed, and programs in its place."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.health import FAILED, NO_FAILURE, NOT_RUN, TOO_LITTLE
from ansible_collections.fleet.rng.plugins.module_utils.transport import rngtest

SAMPLE = random.Random(1).randbytes(65536)  # noqa: S311 - the same in every run


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rngtest"
    monkeypatch.setattr(rngtest, "PROGRAM", str(path))
    return path


def install(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_not_installed(program: Path) -> None:
    assert not program.exists()
    assert rngtest.fips_140_2(SAMPLE) == NOT_RUN


def test_too_little_is_not_even_tried(program: Path) -> None:
    install(program, "touch $0.ran")
    assert rngtest.fips_140_2(SAMPLE[:2503]) == TOO_LITTLE
    assert not program.with_name("rngtest.ran").exists()


@pytest.mark.parametrize(
    ("good", "code", "verdict"),
    [(26, 0, NO_FAILURE), (23, 1, NO_FAILURE), (22, 1, FAILED), (0, 1, FAILED), (26, 12, NOT_RUN), (0, 10, NOT_RUN)],
)
def test_sound_blocks_are_counted(program: Path, good: int, code: int, verdict: str) -> None:
    install(
        program, f'[ "$*" = "--pipe --blockcount=26" ] || exit 99; head -c {good * 2500}; cat >/dev/null; exit {code}'
    )
    assert rngtest.fips_140_2(SAMPLE) == verdict


@pytest.mark.parametrize(("good", "verdict"), [(1, NO_FAILURE), (0, TOO_LITTLE)])
def test_one_block_alone_proves_no_failure(program: Path, good: int, verdict: str) -> None:
    install(program, f"head -c {good * 2500}; cat >/dev/null; exit {1 - good}")
    assert rngtest.fips_140_2(SAMPLE[:2504]) == verdict


def test_one_that_does_not_end(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rngtest, "SECONDS", 0.1)
    install(program, "exec sleep 60")
    assert rngtest.fips_140_2(SAMPLE) == NOT_RUN


def test_one_that_does_not_read(program: Path) -> None:
    install(program, "exit 0")
    assert rngtest.fips_140_2(SAMPLE) == FAILED  # nothing came out


@pytest.mark.skipif(not shutil.which("rngtest"), reason="rng-tools are not installed")
@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        (SAMPLE, NO_FAILURE),
        (bytes(65536), FAILED),
        (bytes(byte & 0x7F for byte in SAMPLE), FAILED),
        (bytes(2504), TOO_LITTLE),
    ],
)
def test_the_real_one(sample: bytes, verdict: str) -> None:
    assert rngtest.fips_140_2(sample) == verdict
