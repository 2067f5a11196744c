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
from contextlib import suppress
from typing import Dict, List, Tuple

from ..errors import HypervisorError, TimedOutError

_KEPT = 64 * 1024


def bounded_run(arguments: List[str], seconds: float, whole: int = 0) -> Tuple[int, bytes, str]:
    """(exit code, output, errors) of a command that gets nothing to read, and no longer than this to run.

    :param whole: for an output that is an answer, of use only when it is complete: how many bytes it may have. Of the
        errors the end is then kept, since the error itself comes after the warnings. Else the beginning of both is.
    :raises TimedOutError: when it did not end in time, or something that it started can still write. It and all that it
        started are then killed, but for what has gone into a session of its own.
    :raises HypervisorError: when it could not be started, or wrote more than ``whole`` bytes; then likewise.
    """
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
    name = os.path.basename(arguments[0])
    try:
        output, errors = _collect(process, name, time.monotonic() + seconds, whole)
        return process.returncode, output, errors.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        did = "answer" if whole else "end"
        raise TimedOutError(f"{name} did not {did} within {seconds:g} seconds, the outcome is unknown") from error
    finally:
        if process.returncode is None:
            # It itself may have ended. It has not been waited for, so its number is still that of its group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _collect(process: subprocess.Popen[bytes], name: str, until: float, whole: int) -> Tuple[bytes, bytes]:
    found: Dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream, key in ((process.stdout, "out"), (process.stderr, "err")):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, key)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(name, left)
            for ready, dummy in selector.select(left):
                part, kept = os.read(ready.fd, 65536), found[ready.data]
                if not part:
                    selector.unregister(ready.fileobj)
                elif not whole:
                    kept += part[: _KEPT - len(kept)]
                elif ready.data == "err":
                    kept += part
                    del kept[:-_KEPT]
                elif len(kept) + len(part) > whole:
                    raise HypervisorError(f"{name} wrote more than {whole} bytes")
                else:
                    kept += part
    process.wait(max(0.0, until - time.monotonic()))
    return bytes(found["out"]), bytes(found["err"])
