# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for a slow hardware RNG: a character device (a pseudo-terminal) that gets random bytes at a fixed rate.

    slow_source.py LINK BYTES_PER_SECOND

LINK leads to the device. What nobody reads in time is lost, as it is in a real one. It serves until it is ended.
"""

from __future__ import annotations

import array
import fcntl
import os
import sys
import termios
import time
import tty
from pathlib import Path

STEP = 0.01  # seconds
LATE = 0.5  # seconds: what a busy machine may be late, and still gives
WAITING = 512  # bytes that wait to be read, at most


def main() -> None:
    link, rate = sys.argv[1], int(sys.argv[2])
    feed, device = os.openpty()  # the device stays open here: else its settings go with its last reader
    tty.setraw(device)
    os.set_blocking(feed, False)
    Path(link).symlink_to(os.ttyname(device))
    owed, then = 0.0, time.monotonic()
    while True:
        now = time.monotonic()
        owed, then = min(owed + (now - then) * rate, rate * LATE), now
        waiting = array.array("i", [0])
        fcntl.ioctl(device, termios.FIONREAD, waiting)
        size = min(int(owed), WAITING - waiting[0])
        if size > 0:
            owed -= os.write(feed, os.urandom(size))
        time.sleep(STEP)


if __name__ == "__main__":
    main()
