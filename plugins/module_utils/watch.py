# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch: what the audit sees of this host, as a metrics file for a textfile collector.

This is the program that a timer runs on hosts without Ansible there; the lookup ``watch_program`` makes one file of it
and of what it imports. It opens libvirt for reading only, changes nothing but its own file, and ends in time.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .backend.libvirt_observer import DEFAULT_URI, Observer
from .bounded import bounded
from .errors import RngError
from .kernel.interpret import interpret
from .kernel.probe import collect
from .metrics import render
from .observation import Devices, ObservedGuest
from .text import printable

PROGRAM = "fleet-rng-watch"
DIRECTORY = "/var/lib/prometheus/node-exporter"
FILE = "fleet-rng.prom"
TIMEOUT = 60  # seconds
LONGEST_TIMEOUT = 3600

WRITTEN = 0
UNOBSERVED = 1  # the file is there, and says that the guests could not be observed
MISUSED = 2  # as argparse has it
UNWRITTEN = 3  # the file is as it was before

_LEFTOVER = 3600  # seconds after which an unfinished file belongs to a run that was killed


def main(version: str = "", arguments: Optional[Sequence[str]] = None) -> int:
    """Look, write, and return the exit code; what went wrong is one line of standard error."""
    options = _options(version, arguments)
    try:
        document = look(options.name, options.uri, options.budget, options.timeout)
        text = render([document])
        if options.stdout:
            sys.stdout.write(text)
        else:
            write(options.directory, FILE, text)
    except RngError as error:
        return _complain(str(error), UNWRITTEN)
    except OSError as error:
        place = "standard output" if options.stdout else options.directory
        return _complain(f"cannot write the metrics to {place}: {error.strerror or error}", UNWRITTEN)
    return _complain(document["error"], UNOBSERVED) if document["error"] else WRITTEN


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {printable(message, 500)}\n")
    return code


def _options(version: str, arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Write metrics of this host's random number generator and of its guests' virtio RNGs.",
        epilog=f"Exit codes: {WRITTEN} written; {UNOBSERVED} written, and the guests could not be observed; "
        f"{MISUSED} wrong options; {UNWRITTEN} nothing written.",
    )
    parser.add_argument("--directory", default=DIRECTORY, help=f"where {FILE} is written (default: %(default)s)")
    parser.add_argument("--stdout", action="store_true", help="print the metrics and write no file")
    parser.add_argument("--name", default=socket.gethostname(), help="label of this host (default: its host name)")
    parser.add_argument("--uri", default=DEFAULT_URI, help="of libvirt; empty: no guests (default: %(default)s)")
    parser.add_argument("--budget", type=_whole(2**63), default=0, help="what all guests may draw, in bytes per second")
    parser.add_argument(
        "--timeout", type=_whole(LONGEST_TIMEOUT), default=TIMEOUT, help="seconds to look (default: %(default)s)"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version or 'from source'}")
    return parser.parse_args(arguments)


def _whole(limit: int) -> Any:
    def number(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= limit:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 1 to {limit}")
        return int(text)

    return number


# Looking -------------------------------------------------------------------------------------------------------------


def look(name: str, uri: str, budget: int, timeout: float) -> Dict[str, Any]:
    """What is, as a host document. A hypervisor that does not answer is an error in it: the host's own facts stay.

    :raises RngError: when not even the host's own files could be read in time.
    """
    until = time.monotonic() + timeout
    document: Dict[str, Any] = {
        "hypervisor": name,
        "collected": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "error": None,
        "rng": bounded(lambda: interpret(collect("/")), "reading the host's own files", timeout),
        "kind": None,
        "version": None,
        "budget": None,
        "guests": [],
    }
    if uri:
        try:
            left = max(until - time.monotonic(), 1)
            document.update(bounded(lambda: _guests(uri, budget), "observing the guests", left))
        except RngError as error:
            document["error"] = str(error)
    return document


def _guests(uri: str, budget: int) -> Dict[str, Any]:
    observer = Observer(uri, readonly=True)
    guests = observer.observe_all()
    return {
        "kind": "libvirt",
        "version": observer.connection.version(),
        "budget": _budget(guests, budget) if budget else None,
        "guests": [_guest(guest) for guest in guests],
    }


def _guest(guest: ObservedGuest) -> Dict[str, Any]:
    wire = guest.to_wire()
    return {
        "name": guest.name,
        "uuid": guest.uuid,
        "running": guest.running,
        "before": {"config": wire["config"], "live": wire["live"]},
        "outcome": {} if guest.error else {"live": _waits(guest)},
    }


def _waits(guest: ObservedGuest) -> str:
    """Whether a restart brings a device that the running guest lacks. The policy is not known here, the config is."""
    if guest.live is None or guest.config is None:
        return "not_applicable"
    return "needs_restart" if _kinds(guest.config) - _kinds(guest.live) else "unchanged"


def _kinds(devices: Devices) -> Counter[Any]:
    return Counter((found.device, found.unknown) for found in devices)


def _budget(guests: Sequence[ObservedGuest], limit: int) -> Mapping[str, Any]:
    """What the quotas of all running guests add up to; a guest without a limit has no place in the sum."""
    rates: List[float] = []
    for guest in guests:
        for found in guest.live or ():
            if found.device is not None and found.device.rate.bytes_per_second is not None:
                rates.append(found.device.rate.bytes_per_second)
    return {"bytes_per_second": limit, "promised": sum(rates), "guests": len(rates)}


# Writing -------------------------------------------------------------------------------------------------------------


def write(directory: str, name: str, text: str) -> None:
    """Put the file in place as a whole: a reader sees the old one or the new one, also after a power failure."""
    _sweep(directory, name)
    descriptor, path = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, 0o644)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.replace(path, os.path.join(directory, name))
    except BaseException:
        os.unlink(path)
        raise


def _sweep(directory: str, name: str) -> None:
    """Remove what runs left behind that were killed while they wrote."""
    for entry in os.scandir(directory):
        if entry.name.startswith(f".{name}.") and time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFTOVER:
            os.unlink(entry.path)
