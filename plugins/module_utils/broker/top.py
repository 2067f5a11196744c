# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""virtrngctl top: frames, one after the other, on a screen of their own where there is one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from typing import Any, Callable, Iterator, Mapping, Optional

from ..errors import RngError
from ..text import printable
from .cells import fitted
from .screen import frame
from .terminal import size_of, style_of

Look = Callable[[], Mapping[str, Any]]

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_FASTEST = 0.2  # seconds until the second look, so that there soon are rates
_QUIT = ("q", "Q", "\x04")


def watch(look: Look, interval: float, once: bool = False) -> None:
    """Show what ``look`` returns, until somebody has seen enough.

    :raises RngError: that of ``look``, unless there is a screen on which it can be said and something to wait for.
    """
    if once or not sys.stdout.isatty():
        _print(look, interval, once)
        return
    current = look()  # with nobody there, there is no point in a screen
    with _screen() as quits:
        previous: Optional[Mapping[str, Any]] = None
        trouble = ""
        pause = min(interval, _FASTEST)
        while True:
            _draw(previous, current, trouble)
            if quits(pause):
                return
            pause = interval
            try:
                previous, current, trouble = current, look(), ""
            except RngError as error:
                trouble = str(error)


def _print(look: Look, interval: float, once: bool) -> None:
    previous = look()
    while True:
        time.sleep(interval)
        current = look()
        width = size_of(sys.stdout)[0]
        sys.stdout.write(frame(previous, current, width, 0, style_of(sys.stdout)) + ("" if once else "\n"))
        sys.stdout.flush()
        if once:
            return
        previous = current


def _draw(previous: Optional[Mapping[str, Any]], current: Mapping[str, Any], trouble: str) -> None:
    width, height = size_of(sys.stdout)
    lines = frame(previous, current, width, height, style_of(sys.stdout)).splitlines()[:height]
    if trouble:
        lines[-1] = fitted(printable(trouble, 300), width)
    # Line by line over the old frame and not onto an empty screen, which would flicker.
    text = (_END_OF_LINE + "\r\n").join(lines)
    sys.stdout.write(_HOME + text + _END_OF_LINE + _END_OF_SCREEN)
    sys.stdout.flush()


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[float], bool]]:
    """The terminal's other screen; gives a function that waits and says whether a key or a signal wants the end."""
    signals = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    keys = _keys()
    try:
        sys.stdout.write(_ENTER)
        sys.stdout.flush()
        with keys as descriptor:
            yield lambda seconds: _wait(seconds, descriptor)
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()


def _interrupt(*dummy: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _keys() -> Iterator[int]:
    """Standard input with every key at once and unseen; -1 where there is no keyboard."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield -1
        return
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    wanted = termios.tcgetattr(descriptor)
    wanted[3] &= ~(termios.ICANON | termios.ECHO)
    wanted[6][termios.VSUSP] = b"\0"  # ^Z would leave the shell on this screen
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, wanted)
        yield descriptor
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _wait(seconds: float, keyboard: int) -> bool:
    """Wait; whether somebody pressed a key that ends it, or has hung up."""
    if keyboard < 0:
        time.sleep(seconds)
        return False
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([keyboard], [], [], left)[0]:
            return False
        try:
            key = os.read(keyboard, 1).decode("ascii", "replace")
        except OSError:
            return True
        if not key or key in _QUIT:
            return True
