# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the entropy broker's status file: an unprivileged user writes it, and may put anything in its place."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import Dict

BROKER = "/run/virtrngd/status.json"
BROKER_LIMIT = 65536
NO_FILE = "not a regular file"


def read_broker(base: Path) -> Dict[str, str]:
    """What a snapshot says of it: its text on one line, or why there is none, and then the machine's clock."""
    path = str(base) + BROKER
    try:
        # A look before it is opened, which some devices act upon; and it may be another thing by then.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return {"!" + BROKER: NO_FILE}
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return {"!" + BROKER: NO_FILE}
            content = stream.read(BROKER_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        return {"!" + BROKER: NO_FILE if error.errno == errno.ELOOP else error.strerror or str(error)}
    text = content.replace(b"\0", b"").decode("utf-8", "replace").rstrip("\n")
    found = {BROKER: text.replace("\n", " ").replace("\r", " ")}
    return {**found, "now": str(int(time.time()))} if base.resolve() == Path("/") else found
