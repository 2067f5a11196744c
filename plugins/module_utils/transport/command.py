# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that is run without a shell, with limits of time and output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from typing import List, Tuple

from ..errors import HypervisorError, TimedOutError

_MAX_OUTPUT = 64 * 1024


def bounded_run(arguments: List[str], seconds: float) -> Tuple[int, str, str]:
    """(exit code, output, errors) of a command that gets nothing to read, and no longer than this to run."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise HypervisorError(f"{arguments[0]}: {os.strerror(error.errno or 0)}") from error
    try:
        output, errors = _collect(process, time.monotonic() + seconds)
        return process.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        name = os.path.basename(arguments[0])
        raise TimedOutError(f"{name} did not end within {seconds:g} seconds, the outcome is unknown") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _collect(process: subprocess.Popen[bytes], until: float) -> Tuple[bytes, bytes]:
    """What it writes, of which only the beginning is kept."""
    found = {"out": b"", "err": b""}
    with selectors.DefaultSelector() as selector:
        for name, stream in (("out", process.stdout), ("err", process.stderr)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, name)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, left)
            for key, dummy in selector.select(left):
                part = os.read(key.fd, 65536)
                if not part:
                    selector.unregister(key.fileobj)
                found[key.data] += part[: _MAX_OUTPUT - len(found[key.data])]
    process.wait(max(0.0, until - time.monotonic()))
    return found["out"], found["err"]
