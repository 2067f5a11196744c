# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""virtrngctl: asks a running virtrngd, and shows what it says."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Optional, Sequence

from ..errors import RngError
from ..text import printable
from .question import REPLACED, SOCKET, Question, ask_again
from .screen import table
from .terminal import size_of, style_of

DONE, FAILED, MISUSED = 0, 1, 2

CHECKING = 45.0  # seconds that the daemon may take to try out a new program
COMING_BACK = 15.0  # seconds that the new program may take until it answers
_PAUSE = 0.05
_BLINK = 1.0  # seconds that a live view waits for one that is being replaced
_MOST_INTERVAL = 3600.0

_USAGE = """\
  status    what the broker does: sources, classes, guests; --json: as a document, for programs
  top       the same, live: who gets how much now, and who waits; q or ^C ends it
  reload    read the configuration file again; clients stay connected. A file with mistakes changes nothing
  upgrade   start the program that is installed now in place of the running one; clients stay connected
  metrics   OpenMetrics text

Exit codes: 0 done; 1 failed, and standard error says why; 2 wrong options.
"""


def main(arguments: Optional[Sequence[str]] = None, version: str = "") -> int:
    """Carry out one command, and return the exit code."""
    options = _options(version, arguments)
    try:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # typed as TextIO, which lacks it
        return int(options.run(options))
    except RngError as error:
        sys.stderr.write(f"virtrngctl: {printable(str(error), 2000)}\n")
        return FAILED
    except BrokenPipeError:
        # Whoever read it has seen enough. What is still in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return DONE


def _options(version: str, arguments: Optional[Sequence[str]]) -> Any:
    import argparse

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--socket", metavar="PATH", default=argparse.SUPPRESS, help=f"default: {SOCKET}")
    parser = argparse.ArgumentParser(
        "virtrngctl",
        description="Ask or steer the entropy broker of this host.",
        epilog=_USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version or 'from source'}")
    commands = parser.add_subparsers(title="commands", metavar="status|top|reload|upgrade|metrics", required=True)
    for name, run in (
        ("status", _status),
        ("top", _top),
        ("reload", _reload),
        ("upgrade", _upgrade),
        ("metrics", _metrics),
    ):
        command = commands.add_parser(name, parents=[shared])
        command.set_defaults(run=run)
        if name == "status":
            command.add_argument("--json", action="store_true", help="the whole document")
        if name == "top":
            command.add_argument(
                "--interval", metavar="S", type=float, default=2.0, help="seconds between two looks (2)"
            )
            command.add_argument("--once", action="store_true", help="one look, over one interval")
    options = parser.parse_args(arguments)
    options.socket = getattr(options, "socket", SOCKET)
    if not 0.1 <= getattr(options, "interval", 1.0) <= _MOST_INTERVAL:
        parser.error(f"--interval is 0.1 to {_MOST_INTERVAL:g} seconds")
    return options


def _status(options: Any) -> int:
    status = _asked_status(options.socket)
    if options.json:
        sys.stdout.write(json.dumps(status, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(table(status, size_of(sys.stdout)[0], style_of(sys.stdout)))
    sys.stdout.flush()
    return DONE


def _top(options: Any) -> int:
    from .top import watch

    watch(lambda: _asked_status(options.socket, _BLINK), options.interval, options.once)
    return DONE


def _metrics(options: Any) -> int:
    answer = ask_again(options.socket, "metrics")
    sys.stdout.write(str(answer.get("metrics", "")))
    sys.stdout.flush()
    return DONE


def _reload(options: Any) -> int:
    answer = ask_again(options.socket, "reload")
    sys.stdout.write(f"virtrngd uses the configuration as it is now: {answer.get('classes')} classes\n")
    problems = [printable(str(problem), 500) for problem in answer.get("problems") or ()]
    sys.stderr.write("".join(f"virtrngctl: {problem}\n" for problem in problems))
    return FAILED if problems else DONE


def _upgrade(options: Any) -> int:
    """Ask for it, wait for the new program's answer or the end of the connection, and then look who is there."""
    before = _asked_status(options.socket)
    with Question(options.socket, "upgrade", CHECKING) as question:
        answer = question.answer()
        while answer is not None and answer.get("restarts", 0) <= before["restarts"]:
            answer = question.answer()
    after = _new_status(options.socket, before)
    sys.stdout.write(
        f"virtrngd {after['version']} runs in place of {before['version']}; "
        f"{after['clients']} clients, {before['clients']} before\n"
    )
    return DONE


def _new_status(path: str, before: Any) -> Any:
    """The status of the program that came in place of the one of ``before``."""
    until = time.monotonic() + COMING_BACK
    while True:
        try:
            after = _asked_status(path, 0.0)
        except RngError:
            if time.monotonic() > until:
                raise
        else:
            if after["pid"] != before["pid"]:
                ended, came = before["pid"], after["pid"]
                raise RngError(f"virtrngd ended (pid {ended}) and was started again (pid {came}); its log says why")
            if after["restarts"] > before["restarts"]:
                return after
            if time.monotonic() > until:
                raise RngError("virtrngd is still the old program; its log says why")
        time.sleep(_PAUSE)


def _asked_status(path: str, replaced: float = REPLACED) -> Any:
    status = ask_again(path, "status", replaced).get("status")
    if not isinstance(status, dict):
        raise RngError(f"what answers at {path} is no virtrngd")
    return status
