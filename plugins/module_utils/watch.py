# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch: what the audit sees of this host, as a metrics file for a textfile collector.

This is the program that a timer runs on hosts without Ansible there; the lookup ``watch_program`` makes one file of it
and of what it imports. It only asks, whatever runs the guests, changes nothing but its own file, and ends in time.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .bounded import bounded
from .errors import HypervisorError, RngError
from .host_kind import GANETI, KINDS, PROXMOX, QEMU, SCRIPT, recognized, the_only
from .kernel.interpret import interpret
from .kernel.probe import collect
from .metrics import render
from .observation import TEMPLATE, Devices, ObservedGuest
from .text import printable
from .transport.command import bounded_run

PROGRAM = "fleet-rng-watch"
DIRECTORY = "/var/lib/prometheus/node-exporter"
FILE = "fleet-rng.prom"
URI = "qemu:///system"
AUTO, NONE = "auto", "none"
TIMEOUT = 60  # seconds
LONGEST_TIMEOUT = 3600

WRITTEN = 0
UNOBSERVED = 1  # the file is there, and says that the guests could not be observed, or what runs them is not clear
MISUSED = 2  # as argparse has it
UNWRITTEN = 3  # the file is as it was before

_LEFTOVER = 3600  # seconds after which an unfinished file belongs to a run that was killed
_RECOGNIZING = 20  # seconds for the script that recognizes what runs here

# What of the options of qemu_rng_info can be given, in a file.
_QEMU_OPTIONS = {
    "sockets": (list, []),
    "processes": (bool, True),
    "configs": (dict, {}),
    "config_dir": (str, ""),
    "config_roots": (list, ["/etc/qemu"]),
}


@dataclass(frozen=True)
class Target:
    """What runs the guests: one of the kinds, or ``AUTO`` or ``NONE``; and where libvirt and plain QEMU have them.

    ``qemu`` is the path of a file with options of qemu_rng_info, as JSON; empty: none.
    """

    kind: str = AUTO
    uri: str = URI
    qemu: str = ""


def main(version: str = "", arguments: Optional[Sequence[str]] = None) -> int:
    """Look, write, and return the exit code; what went wrong is one line of standard error."""
    options = _options(version, arguments)
    try:
        if options.recognize:
            sys.stdout.write(" ".join(recognize()) + "\n")
            return WRITTEN
        target = Target(options.hypervisor, options.uri, options.qemu)
        document = look(options.name, target, options.budget, options.timeout)
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
    kinds = (AUTO, *KINDS, NONE)
    parser.add_argument("--hypervisor", choices=kinds, default=AUTO, help="what runs the guests (default: %(default)s)")
    parser.add_argument("--directory", default=DIRECTORY, help=f"where {FILE} is written (default: %(default)s)")
    parser.add_argument("--stdout", action="store_true", help="print the metrics and write no file")
    parser.add_argument("--name", default=socket.gethostname(), help="label of this host (default: its host name)")
    parser.add_argument("--uri", default=URI, help="of libvirt (default: %(default)s)")
    names = ", ".join(_QEMU_OPTIONS)
    parser.add_argument("--qemu", metavar="FILE", default="", help=f"JSON: {names}, as qemu_rng_info has them")
    parser.add_argument("--budget", type=_whole(2**63), default=0, help="what all guests may draw, in bytes per second")
    parser.add_argument(
        "--timeout", type=_whole(LONGEST_TIMEOUT), default=TIMEOUT, help="seconds to look (default: %(default)s)"
    )
    parser.add_argument("--recognize", action="store_true", help="print the kinds of hypervisor that are here, and end")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version or 'from source'}")
    return parser.parse_args(arguments)


def _whole(limit: int) -> Any:
    def number(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= limit:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 1 to {limit}")
        return int(text)

    return number


# Looking -------------------------------------------------------------------------------------------------------------


def recognize() -> Tuple[str, ...]:
    """The kinds of hypervisor that are on this host: one, if that is clear.

    :raises RngError: when that cannot be told.
    """
    dummy_code, output, dummy_errors = bounded_run(["/bin/sh", "-c", SCRIPT], _RECOGNIZING)
    return recognized(output.decode("utf-8", "replace"))


def look(name: str, target: Target, budget: int, timeout: float) -> Dict[str, Any]:
    """What is, as a host document. A hypervisor that does not answer is an error in it: the host's own facts stay.

    :raises RngError: when not even the host's own files could be read in time.
    """
    until = time.monotonic() + timeout
    document: Dict[str, Any] = {
        "hypervisor": name,
        "collected": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "error": None,
        "rng": bounded(lambda: interpret(collect("/")), "reading the host's own files", timeout),
        "kinds": None,
        "kind": None,
        "version": None,
        "budget": None,
        "guests": [],
    }
    try:
        kind = target.kind
        if kind == AUTO:
            document["kinds"] = recognize()
            kind = the_only(document["kinds"])
        if kind != NONE:
            left = max(until - time.monotonic(), 1)
            document.update(bounded(lambda: _guests(_backend(kind, target), budget), "observing the guests", left))
    except RngError as error:
        document["error"] = str(error)
    return document


def _backend(kind: str, target: Target) -> Any:
    """The audit's own. Imported where it is wanted only: the others are most of this program."""
    if kind == PROXMOX:
        from .backend import proxmox

        return proxmox.Backend()
    if kind == GANETI:
        from .backend import ganeti

        return ganeti.Backend()
    if kind == QEMU:
        from .backend import qemu, qemu_options

        return qemu.Backend(qemu_options.parse_options(_qemu_options(target.qemu)))
    from .backend import libvirt

    return libvirt.Backend(target.uri)


def _qemu_options(path: str) -> Dict[str, Any]:
    given: Any = {}
    if path:
        try:
            with open(path, encoding="utf-8") as stream:
                given = json.load(stream)
        except (OSError, ValueError, RecursionError) as error:
            raise HypervisorError(f"the options in {path} cannot be read: {error}") from error
    if not isinstance(given, dict) or given.keys() - _QEMU_OPTIONS.keys():
        raise HypervisorError(f"{path}: allowed is an object with {', '.join(_QEMU_OPTIONS)}")
    for name, (kind, dummy) in _QEMU_OPTIONS.items():
        if name in given and not isinstance(given[name], kind):
            raise HypervisorError(f"{path}: {name} is no {kind.__name__}")
    return {**{name: default for name, (dummy, default) in _QEMU_OPTIONS.items()}, **given}


def _guests(backend: Any, budget: int) -> Dict[str, Any]:
    session = backend.session(readonly=True)
    # A template never runs, so it lacks nothing and draws nothing.
    guests = [guest for guest in session.observe_all() if TEMPLATE not in dict(guest.blocked)]
    hypervisor = backend.hypervisor(session)
    return {
        "kind": hypervisor["kind"],
        "version": hypervisor["version"],
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
