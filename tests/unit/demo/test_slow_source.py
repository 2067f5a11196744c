# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for a slow hardware RNG: a character device that is never faster than asked for, and gives any byte."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[3] / "demo" / "sharing" / "slow_source.py"
RATE = 16384


def test_it_gives_random_bytes_at_its_rate(tmp_path):
    link = tmp_path / "slow"
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, PROGRAM, link, str(RATE)])
    try:
        while not link.exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert stat.S_ISCHR(link.stat().st_mode)
        data = b""
        device = os.open(link, os.O_RDONLY | os.O_NOCTTY)
        while len(data) < RATE // 2:
            data += os.read(device, 512)
        os.close(device)
        assert time.monotonic() - begin >= len(data) / RATE
        assert len(set(data)) == 256  # also those that mean something to a terminal
    finally:
        process.kill()
        process.wait()
