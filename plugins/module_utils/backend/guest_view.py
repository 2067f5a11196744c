# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest says of its RNG through its agent, whichever hypervisor carries the words.

Nothing of it is trusted: every text is cut and printable, and what could not be read is None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from .. import health
from ..device import request_bytes
from ..kernel import measure
from ..kernel.interpret import interpret
from ..kernel.measure import Limits
from ..kernel.probe import (
    LINE_LIMIT,
    LINES_PER_FILE,
    ProbeError,
    Snapshot,
    UnsupportedSystemError,
    command,
    parse,
)
from ..observation import Devices
from ..text import printable
from ..transport.agent import (
    DISABLED,
    GARBAGE,
    NO_AGENT,
    REFUSED,
    TIMED_OUT,
    Agent,
    AgentError,
    Call,
    Deadline,
    is_missing,
)
from ..transport.rngtest import fips_140_2

SEEN, NOT_LINUX, NOT_RUNNING, ERROR = "seen", "not Linux", "not running", "error"
FILES_DISABLED = "file reading disabled"
MEASURED, NO_BYTES, NOT_ALLOWED = "measured", "no bytes", "not allowed"
MEASURE_GRACE = 5  # seconds for a guest to begin a measurement and to tell of it, beside those that it takes

_STATUS = {NO_AGENT: NO_AGENT, TIMED_OUT: TIMED_OUT, DISABLED: FILES_DISABLED, REFUSED: ERROR, GARBAGE: ERROR}
_FILE_COMMANDS = ("guest-file-open", "guest-file-read", "guest-file-close")
_EXEC_COMMANDS = ("guest-exec", "guest-exec-status")

# What matters most first, since the time may be up before the last one. Each file costs three calls.
_HW_RANDOM = "/sys/devices/virtual/misc/hw_random/"
_RANDOM = "/proc/sys/kernel/random/"
_FILES = (
    _HW_RANDOM + "rng_current",
    _HW_RANDOM + "rng_available",
    "/proc/sys/kernel/osrelease",
    _RANDOM + "entropy_avail",
    _RANDOM + "poolsize",
    _HW_RANDOM + "rng_quality",
    "/proc/sys/crypto/fips_enabled",
    "/proc/cmdline",
)
_INITSTATE = "/sys/module/virtio_rng/initstate"
_DRIVER = "/sys/bus/virtio/drivers/virtio_rng"
_DEVICES = "/sys/bus/virtio/devices"
_REST_ON_MORE = ("RNG016",)  # no finding where rngd runs, and that is not looked for
_NOT_READ = "not read: files are asked for one by one, without guest_exec"

# By the id that the agent takes from os-release, or by the beginning of the kernel's version where it has none.
_NOT_LINUX = {
    "mswindows": "Windows",
    "freebsd": "FreeBSD",
    "openbsd": "OpenBSD",
    "netbsd": "NetBSD",
    "dragonfly": "DragonFly BSD",
    "illumos": "illumos",
    "solaris": "Solaris",
    "darwin": "macOS",
}
_VIRTIO_VENDOR = 0x1AF4
_VIRTIO_RNGS = (0x1005, 0x1044)  # as a transitional device, and as a modern one


@dataclass(frozen=True)
class GuestOptions:
    """How far the view of a guest may go. ``seconds`` is for all of its agent's answers, measuring not counted."""

    execute: bool = False
    seconds: float = 10
    measure: Optional[Limits] = None


def not_seen(status: str, why: str) -> Dict[str, Any]:
    """The view of a guest that could not be asked, or was not understood."""
    return {
        "status": status,
        "why": printable(why, 400),
        "via": "agent",
        "os": None,
        "driver": None,
        "rng": None,
        "measured": None,
    }


def view(call: Call, live: Optional[Devices], options: GuestOptions) -> Dict[str, Any]:
    """Ask a guest whose agent can be spoken to over ``call``. Whatever goes wrong is in the answer.

    :param live: the devices that the guest has, as the hypervisor sees them.
    """
    seen = not_seen(SEEN, "")
    seen["why"] = None
    agent = Agent(call, Deadline(options.seconds))
    try:
        agent.greet()
        info = _os_info(agent)
        seen["os"] = _os(info)
        foreign = _foreign_system(info)
        if foreign:
            return _foreign(seen, agent, foreign, live)
        _look_inside(seen, agent, options, info or {})
        if options.measure is not None and seen["status"] == SEEN:
            agent.deadline = Deadline(options.measure.seconds + MEASURE_GRACE)
            seen["measured"] = _measure(agent, seen["rng"], live, options.measure)
    except UnsupportedSystemError as error:
        seen.update(status=NOT_LINUX, why=printable(str(error), 400))
    except AgentError as error:
        seen.update(status=_STATUS[error.kind], why=printable(str(error), 400))
    return seen


# The system ----------------------------------------------------------------------------------------------------------


def _os_info(agent: Agent) -> Optional[Dict[str, str]]:
    try:
        return agent.os_info()
    except AgentError as error:
        if error.kind in (DISABLED, REFUSED):
            return None
        raise


def _os(info: Optional[Dict[str, str]]) -> Optional[Dict[str, str]]:
    if not info:
        return None
    return {
        "id": printable(info.get("id", ""), 100),
        "name": printable(info.get("pretty-name") or info.get("name", ""), 100),
        "version": printable(info.get("version-id") or info.get("version", ""), 100),
        "kernel": printable(info.get("kernel-release", ""), 100),
    }


def _foreign_system(info: Optional[Dict[str, str]]) -> str:
    """The name of a system that is not Linux, or nothing."""
    given = info or {}
    for name, shown in _NOT_LINUX.items():
        if given.get("id", "").lower() == name or given.get("kernel-version", "").lower().startswith(name + " "):
            return shown
    return ""


def _foreign(seen: Dict[str, Any], agent: Agent, name: str, live: Optional[Devices]) -> Dict[str, Any]:
    seen["status"] = NOT_LINUX
    try:
        listed = agent.pci_drivers() if name == "Windows" else None
    except AgentError:
        listed = None
    if listed is None:
        what = "what it uses is not verifiable through its agent"
    elif any(item["vendor"] == _VIRTIO_VENDOR and item["device"] in _VIRTIO_RNGS for item in listed):
        seen["driver"] = True
        what = "a driver serves its virtio RNG; whether the system draws from it is not verifiable"
    elif live:
        seen["driver"] = False
        what = "no driver serves its virtio RNG (viorng, of virtio-win, is one)"
    else:
        what = "it has no virtio RNG; whether it has a driver for one is not verifiable"
    seen["why"] = f"the guest runs {name}: {what}"
    return seen


# Linux ---------------------------------------------------------------------------------------------------------------


def _look_inside(seen: Dict[str, Any], agent: Agent, options: GuestOptions, info: Dict[str, str]) -> None:
    """Fill in ``rng``, ``driver``, and ``status`` and ``why`` where something stood in the way."""
    why: Optional[str] = None
    if options.execute:
        snapshot, why = _probe(agent)
        if snapshot is not None:
            seen["rng"] = interpret(snapshot)
            seen["driver"] = _driver(seen["rng"])
            return
    snapshot, problem = _read_files(agent)
    if any(not path.startswith("!") for path in snapshot):
        seen["rng"] = _partial(snapshot, info)
        seen["driver"] = _driver(seen["rng"])
    elif problem is None:
        reasons = sorted({reason for path, reason in snapshot.items() if path in ("!" + name for name in _FILES)})
        problem = AgentError(REFUSED, reasons[0] if reasons else "it has none of the files that a Linux system has")
    if problem is not None:
        seen["status"] = _STATUS[problem.kind]
        why = "; ".join(part for part in (why, str(problem)) if part)
    seen["why"] = None if why is None else printable(why, 400)


def _probe(agent: Agent) -> Tuple[Optional[Snapshot], Optional[str]]:
    """What the probe saw, or None and why the files have to be read one by one."""
    if not agent.allows(*_EXEC_COMMANDS):
        return None, "the guest's agent does not offer guest-exec, its files were read instead"
    try:
        seconds = max(1, min(10, int(agent.deadline.left()) - 1))
        finished = agent.run(command(seconds=seconds))
        return parse(finished.out.decode("utf-8", "surrogateescape")), None
    except UnsupportedSystemError:
        raise
    except ProbeError as error:
        return None, f"{error}; its files were read instead"
    except AgentError as error:
        if error.kind not in (DISABLED, REFUSED):
            raise
        return None, f"guest-exec is refused ({error}), its files were read instead"


def _read_files(agent: Agent) -> Tuple[Snapshot, Optional[AgentError]]:
    """A snapshot of the few files that matter most, as the probe would take it, and what cut it short."""
    snapshot: Snapshot = {"!" + path: _NOT_READ for path in (*_FILES, _DEVICES)}
    if not agent.allows(*_FILE_COMMANDS):
        return snapshot, AgentError(DISABLED, "the guest's agent does not offer to read files (guest-file-open)")
    try:
        for path in _FILES[:2]:
            _read_file(agent, path, snapshot)
        _find_driver(agent, snapshot)
        for path in _FILES[2:]:
            _read_file(agent, path, snapshot)
    except AgentError as error:
        return snapshot, error
    return snapshot, None


def _read_file(agent: Agent, path: str, snapshot: Snapshot) -> None:
    try:
        content = agent.read(path, LINE_LIMIT)
    except AgentError as error:
        if error.kind != REFUSED:
            raise
        if is_missing(error):
            snapshot.pop("!" + path)
        else:
            snapshot["!" + path] = str(error)
        return
    snapshot.pop("!" + path)
    lines = content.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if lines:
        snapshot[path] = "".join(line + "\n" for line in lines[:LINES_PER_FILE])


def _find_driver(agent: Agent, snapshot: Snapshot) -> None:
    """Find out how the driver is there, if it is; where that fails it stays unknown."""
    try:
        if agent.holds(_INITSTATE):
            snapshot[_INITSTATE] = ""
        elif agent.holds(_DRIVER):
            snapshot[_DRIVER] = ""
        elif not any(path.startswith(_HW_RANDOM) for path in snapshot) and not agent.holds("/sys/bus"):
            return
        snapshot["/sys/bus"] = ""
    except AgentError as error:
        if error.kind != REFUSED:
            raise
        snapshot["!" + _DRIVER] = str(error)


def _partial(snapshot: Snapshot, info: Dict[str, str]) -> Dict[str, Any]:
    """As the probe's, where everything that was not looked at, and that the agent did not tell, is unknown."""
    rng = interpret(snapshot)
    if rng["kernel"]["arch"] is None and info.get("machine"):
        rng["kernel"]["arch"] = printable(info["machine"], 100)
    if rng["os"] is None and "id" in info:
        rng["os"] = {
            name: printable(info.get(field, ""), 100)
            for name, field in (("id", "id"), ("version", "version-id"), ("name", "name"))
        }
    rng["virtio_devices"] = None
    rng["findings"] = [finding for finding in rng["findings"] if finding["id"] not in _REST_ON_MORE]
    if rng["role"] is None:
        rng.update(role="guest", role_why="its QEMU guest agent answers")
    for entry in rng["unreadable"]:
        if entry["path"] == "/proc/*/comm":
            entry["reason"] = _NOT_READ
    return rng


def _driver(rng: Dict[str, Any]) -> Optional[bool]:
    if rng["virtio_rng"] in ("loaded", "builtin") or any(
        name.startswith("virtio_rng") for name in rng["available"] or []
    ):
        return True
    return False if rng["virtio_rng"] == "missing" else None


# Measuring -----------------------------------------------------------------------------------------------------------


def _unmeasured(status: str, why: str) -> Dict[str, Any]:
    return {
        "status": status,
        "why": printable(why, 400),
        "bytes": 0,
        "seconds": 0.0,
        "bytes_per_second": None,
        "health": dict.fromkeys(health.judge(b""), health.NOT_RUN),
    }


def _measure(agent: Agent, rng: Dict[str, Any], live: Optional[Devices], limits: Limits) -> Dict[str, Any]:
    if not live:
        return _unmeasured(NO_BYTES, "it has no virtio RNG")
    if not (rng["current"] or "").startswith("virtio_rng"):
        return _unmeasured(ERROR, f"its kernel draws from {rng['current'] or 'no hardware RNG'}, not from a virtio RNG")
    rates = {found.device.rate if found.device else None for found in live}
    rate = rates.pop()
    if rates or rate is None:
        draw = measure.Draw(0, limits.count, "the rate of the one that it draws from is not known")
    else:
        draw = measure.plan(limits, rate, request_bytes(rng["kernel"]["arch"] or ""))
    try:
        finished = agent.run(measure.SCRIPT, measure.arguments(draw, limits))
        return _measured(draw, measure.parse(draw, finished.out, finished.err))
    except measure.MeasureError as error:
        return _unmeasured(ERROR, str(error))
    except AgentError as error:
        status = {TIMED_OUT: TIMED_OUT, DISABLED: NOT_ALLOWED}.get(error.kind, ERROR)
        return _unmeasured(status, str(error))


def _measured(draw: measure.Draw, drawn: measure.Drawn) -> Dict[str, Any]:
    if not drawn.sample and not drawn.count:
        status, why = NO_BYTES, f"/dev/hwrng gave nothing in {drawn.seconds:g} seconds"
        if drawn.failed:
            status, why = ERROR, "reading /dev/hwrng failed"
        elif draw.too_short:
            status, why = ERROR, f"{why}, which is no wonder: {draw.why}"
        return {**_unmeasured(status, why), "seconds": drawn.seconds}
    result = _unmeasured(MEASURED, "")
    result.update(
        why="reading /dev/hwrng failed in the end" if drawn.failed else draw.why,
        bytes=drawn.count,
        seconds=drawn.seconds,
        bytes_per_second=None if draw.why else drawn.per_second,
        health=health.judge(drawn.sample, fips_140_2(drawn.sample)),
    )
    return result
