# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that may replace this one: it has to show first that it works, so that a broken one never does."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Mapping, NamedTuple, Optional, Sequence

from ..text import printable
from . import compiled
from .handover import VARIABLE, HandoverError

if TYPE_CHECKING:
    import subprocess

COMPLAINT = 4096  # bytes of what it may say

_SOON = 0.02  # seconds after which a program that said its last word has ended
_OURS = (VARIABLE, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Outcome(NamedTuple):
    """What came of a check; ``why`` is printable, and empty when all is well.

    ``left`` is a descriptor of what it leaves to its next self (``compiled``), and is the caller's then; -1: nothing.
    """

    sound: bool
    why: str
    left: int = -1


class Check:
    """The installed program, which looks at itself and at its configuration while this one goes on with its work.

    ``fileno`` is readable when ``poll`` is worth a call; so it is after ``pause`` seconds.
    """

    def __init__(self, process: subprocess.Popen[bytes], until: float, left: int = -1) -> None:
        self._process = process
        self._left = left
        self._until = until
        self._said = b""
        self._silent = False
        if process.stderr:
            os.set_blocking(process.stderr.fileno(), False)

    def fileno(self) -> int:
        """What to wait for. Take it out of the loop before ``poll``'s answer closes it."""
        return self._process.stderr.fileno() if self._process.stderr else -1

    @property
    def silent(self) -> bool:
        """Whether it has said its last word: ``fileno`` tells nothing any more, and ``pause`` is short."""
        return self._silent

    def pause(self, now: float) -> float:
        """How many seconds ``poll`` may wait, if nothing is readable before."""
        left = max(self._until - now, 0.0)
        return min(left, _SOON) if self._silent else left

    def poll(self, now: float) -> Optional[Outcome]:
        """The outcome, or None while the program is at it. One that takes too long is killed.

        :param now: of the monotonic clock.
        """
        code = self._process.poll()
        self._listen()
        if code is None and now < self._until:
            return None
        self.close()
        said = " ".join(printable(self._said.decode("utf-8", "replace").replace("\n", " "), COMPLAINT).split())
        if code != 0:
            _close(self._left)
            self._left = -1
        if code is None:
            return Outcome(False, f"the check took too long and was stopped{said and ': ' + said}")
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            return Outcome(False, said or f"the check failed with {how} and did not say why")
        left, self._left = self._left, -1
        return Outcome(True, "", left)

    def close(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except OSError:
                pass  # it has just ended
            self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def _listen(self) -> None:
        """Keep the beginning of what it says, and let it say the rest."""
        while not self._silent:
            try:
                said = os.read(self.fileno(), COMPLAINT)
            except BlockingIOError:
                return
            self._silent = not said
            self._said += said[: COMPLAINT - len(self._said)]


def check(argv: Sequence[str], seconds: float, environ: Optional[Mapping[str, str]] = None) -> Check:
    """Start ``argv --check``, which has to end well within some seconds.

    :raises HandoverError: when it cannot be started.
    """
    import subprocess  # here, since it would make every start of the program longer

    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # inherited: the exit code would be lost, and pass for a 0
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    until = time.monotonic() + seconds
    given = os.environ if environ is None else environ
    try:
        left = os.memfd_create("virtrngd-code")
    except (AttributeError, OSError):
        left = -1  # then it is compiled again
    try:
        process = subprocess.Popen(
            [*argv, "--check"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**{name: value for name, value in given.items() if name not in _OURS}, compiled.VARIABLE: str(left)},
            pass_fds=[left] if left >= 0 else [],
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        _close(left)
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise HandoverError(f"cannot run {argv[0]} --check: {why}") from error
    return Check(process, until, left)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
