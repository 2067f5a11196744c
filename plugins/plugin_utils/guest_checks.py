# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of one guest: its devices by libvirt and QEMU, what its kernel says, what its QEMU process has open.

Whether a device is the wanted one is not compared here: :func:`decide` says so, as it does when it is attached.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import UNCHANGED, Decision, LayerDecision, is_own
from ansible_collections.fleet.rng.plugins.module_utils.device import Rate, RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import GANETI, LIBVIRT, PROXMOX
from ansible_collections.fleet.rng.plugins.module_utils.observation import CONFIG, LIVE, FoundDevice, ObservedGuest
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils import guest_findings as kinds
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_findings import Kind, finding
from ansible_collections.fleet.rng.plugins.plugin_utils.kinds import COMMANDS

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = "pass", "fail", "unknown", "not applicable"
CHECKS = ("config", "live", "source", "rate", "driver", "current", "open", "measured")
DRIVER = {"loaded": True, "builtin": True, "missing": False}  # whether there is one, by virtio_rng of rng_info

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_PLAIN_NAME = re.compile("[a-z][a-z0-9_.-]{0,30}", re.ASCII | re.IGNORECASE)  # no number, and too short for a UUID
_VIRTIO = "virtio_rng"
_BACKEND_OF = {"random": "rng-random", "builtin": "rng-builtin", "egd": "rng-egd"}
_VARIABLES = {
    kinds.WRONG_SOURCE: "virtio_rng_source",
    kinds.WRONG_RATE: "virtio_rng_max_bytes, virtio_rng_period",
    kinds.OTHER_DEVICE: "virtio_rng_model, virtio_rng_driver",
}
# What only attaching the wanted device mends, so that an unsafe source stands in the way.
_NEEDS_SOURCE = (kinds.NOT_IN_CONFIG, kinds.NOT_LIVE, *_VARIABLES)
_SILENT = {  # why a guest's agent said nothing, by the status of the view
    "no agent": kinds.NO_AGENT,
    "timed out": kinds.AGENT_TIMED_OUT,
    "file reading disabled": kinds.NO_FILE_READING,
    "not Linux": kinds.NOT_LINUX,
}


@dataclass(frozen=True)
class Check:
    result: str
    message: str

    def to_wire(self) -> dict[str, str]:
        return {"result": self.result, "message": printable(self.message, 300)}


@dataclass
class Case:
    """One guest on its way to a verdict: what is wanted, what is there, and what was found so far.

    ``waits`` says why the running guest is not yet what its configuration is, ``applied`` why it could not be changed
    just before, ``unsafe`` why the hypervisor refuses the wanted source; ``inside`` fetches what ``rng_info`` said of
    it as a machine of its own, ``unreached`` why it could not say anything; ``broker`` is that of its hypervisor.
    """

    guest: ObservedGuest
    wanted: RngDevice | None
    decision: Decision
    waits: str = ""
    applied: str = ""
    kind: str = LIBVIRT
    unsafe: str = ""
    inside: Callable[[], Mapping[str, Any] | None] = lambda: None
    unreached: Callable[[], str] = lambda: ""
    broker: Mapping[str, Any] | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    _differences: dict[Kind, dict[str, str]] = field(default_factory=dict)  # by kind: where -> what is there

    def find(self, kind: Kind, evidence: Mapping[str, Any] | None = None, **words: object) -> None:
        commands = {name: text.format(domain=self.domain) for name, text in COMMANDS[self.kind].items()}
        words = {"wanted": self.wanted, **commands, **words}
        self.findings.append(finding(kind, self.guest.name, evidence or {}, **words))

    def differ(self, kind: Kind, where: str, found: str) -> None:
        if kind is kinds.NOT_LIVE and kinds.NOT_IN_CONFIG in self._differences:
            kind = kinds.NOT_IN_CONFIG  # one cause, one finding
        self._differences.setdefault(kind, {})[where] = found

    def report_differences(self) -> None:
        """One finding of each kind, however many layers it is on; where changing it failed, that is what to mend."""
        wanted = self.wanted
        for kind, places in self._differences.items():
            only: object = wanted
            if wanted is not None and kind in (kinds.WRONG_SOURCE, kinds.WRONG_RATE):
                only = wanted.source if kind is kinds.WRONG_SOURCE else wanted.rate
            said = "; ".join(
                f"{found} ({' and '.join(where for where in places if places[where] == found)})"
                for found in dict.fromkeys(places.values())
            )
            evidence = {where: printable(found, 300) for where, found in places.items()}
            words = {"wanted": only, "found": said, "variables": _VARIABLES.get(kind, "")}
            unsafe = self.unsafe if kind in _NEEDS_SOURCE else ""
            if self.applied:
                kind = kinds.after_failure(kind, unsafe=bool(unsafe))
            elif unsafe:
                kind = kinds.with_unsafe_source(kind)
            self.find(kind, evidence, **words, failure=self.applied, unsafe=unsafe)

    @property
    def domain(self) -> str:
        """The guest as an argument of commands: its name, unless virsh or a shell may take that for something else."""
        name, uuid = self.guest.name, self.guest.uuid
        if self.kind == PROXMOX and self.guest.number.isdigit():
            return self.guest.number
        if self.kind == GANETI:
            return shlex.quote(name)
        return uuid if _UUID.fullmatch(uuid) and not _PLAIN_NAME.fullmatch(name) else shlex.quote(name)

    @property
    def trial(self) -> str:
        """How to try the wanted source on the host."""
        source = None if self.wanted is None else self.wanted.source
        if source is not None and source.kind == "random":
            return f"on the host: dd if={shlex.quote(source.path)} of=/dev/null bs=64 count=16"
        if source is not None and source.kind == "egd":
            return f"does the daemon behind {source} run?"
        return "QEMU draws it from the host's kernel itself"

    @property
    def unseen(self) -> bool:
        """It runs, and nobody here sees with what, such as on another node of its cluster."""
        return self.guest.running and self.guest.live is None

    @property
    def device(self) -> FoundDevice | None:
        """The RNG of the running guest that the policy is about: the wanted one, else ours, else the first."""
        found = self.guest.live or ()
        equal = [item for item in found if self.wanted is not None and item.device == self.wanted]
        own = [item for item in equal or found if is_own(item)]
        return next(iter([*own, *equal, *found]), None)


# The devices ---------------------------------------------------------------------------------------------------------


def check_layer(case: Case, layer: str) -> Check:
    """Exactly the wanted device is there, in the configuration or while the guest runs."""
    decided: LayerDecision = case.decision.config if layer == CONFIG else case.decision.live
    found = case.guest.config if layer == CONFIG else case.guest.live
    if found is None:
        return Check(UNKNOWN if layer == LIVE and case.unseen else NOT_APPLICABLE, decided.reason)
    if layer == LIVE and case.waits:
        return Check(FAIL, f"waits for a restart: {case.waits}")
    if decided.status == UNCHANGED:
        return Check(PASS, decided.reason if case.wanted is None else f"has {case.wanted}")
    there = _listed(found)
    if case.wanted is None:
        case.differ(kinds.NOT_REMOVED, layer, there)
    elif not decided.remove:
        case.differ(kinds.NOT_IN_CONFIG if layer == CONFIG else kinds.NOT_LIVE, layer, there)
    elif decided.add is None:
        case.differ(kinds.SEVERAL, layer, _listed(decided.remove))
    else:
        own = [item for item in decided.remove if is_own(item)]
        _compare(case, layer, next(iter([*own, *decided.remove])))
    return Check(FAIL, f"has {there}; wanted is {case.wanted or 'none'}")


def _listed(found: Sequence[FoundDevice]) -> str:
    return " + ".join(map(str, found)) or "no RNG"


def _compare(case: Case, layer: str, found: FoundDevice) -> None:
    """Say in which field a device differs that was decided not to be the wanted one."""
    device, wanted = found.device, case.wanted
    if device is None or wanted is None:
        case.differ(kinds.OTHER_DEVICE, layer, str(found))
        return
    if device.source != wanted.source:
        case.differ(kinds.WRONG_SOURCE, layer, str(device.source))
    if device.rate != wanted.rate:
        case.differ(kinds.WRONG_RATE, layer, str(device.rate))
    if (device.model, device.driver) != (wanted.model, wanted.driver):
        case.differ(kinds.OTHER_DEVICE, layer, str(device))


def check_source(case: Case) -> Check:
    """As QEMU itself says where it was asked, else as the hypervisor says."""
    found = case.device
    if case.wanted is None or found is None:
        return Check(NOT_APPLICABLE, "no RNG to judge")
    wanted, asked = case.wanted.source, _asked_of_qemu(case, found)
    if asked is not None:
        backend, told = asked.get("backend"), asked.get("source")
        if told is not None:
            return _same_source(case, wanted, _source(str(told)), str(told))
        if backend is not None and backend != _BACKEND_OF[wanted.kind]:
            return _same_source(case, wanted, None, str(backend))
    if found.device is None:
        return Check(UNKNOWN, str(found))
    same = found.device.source == wanted
    return Check(PASS if same else FAIL, f"{found.device.source}, as the hypervisor says")


def _same_source(case: Case, wanted: Source, told: Source | None, words: str) -> Check:
    if told == wanted:
        return Check(PASS, f"{wanted}, as QEMU says")
    case.differ(kinds.WRONG_SOURCE, "QEMU", words)
    return Check(FAIL, f"{words}, as QEMU says")


def check_rate(case: Case) -> Check:
    """The limit, from where :func:`check_source` has the source."""
    found = case.device
    if case.wanted is None or found is None:
        return Check(NOT_APPLICABLE, "no RNG to judge")
    asked = _asked_of_qemu(case, found)
    if asked is not None:
        given = f"{asked.get('max_bytes')} B / {asked.get('period')} ms"
        try:
            rate = Rate.parse(asked.get("max_bytes"), asked.get("period"))
        except InvalidValueError:
            rate = None  # such as 0, which starves the guest
        if rate == case.wanted.rate:
            return Check(PASS, f"{rate}, as QEMU says")
        words = given if rate is None else str(rate)
        case.differ(kinds.WRONG_RATE, "QEMU", words)
        return Check(FAIL, f"{words}, as QEMU says")
    if found.device is None:
        return Check(UNKNOWN, str(found))
    same = found.device.rate == case.wanted.rate
    return Check(PASS if same else FAIL, f"{found.device.rate}, as the hypervisor says")


def _asked_of_qemu(case: Case, found: FoundDevice) -> Mapping[str, Any] | None:
    """What the monitor said of this device: libvirt's alias is its id in QEMU."""
    told = (case.guest.host_view or {}).get("qemu") or ()
    same = [item for item in told if item.get("id") == found.alias]
    alone = len(told) == len(case.guest.live or ()) == 1
    return next(iter(same or (told if alone else ())), None)


def _source(text: str) -> Source | None:
    try:
        return Source.parse(text)
    except InvalidValueError:
        return None


def check_open(case: Case) -> Check:
    """The QEMU process has the source open on the host."""
    view = case.guest.host_view
    if case.device is None:
        return Check(NOT_APPLICABLE, "no RNG to judge")
    if view is None:
        return Check(NOT_APPLICABLE, "the host was not asked")
    if view["status"] != "seen":
        why = view.get("why") or view["status"]
        case.find(kinds.NOT_SEEN_OPEN, {"status": view["status"]}, why=why)
        return Check(UNKNOWN, str(why))
    entries = [entry for found, entry in zip(case.guest.live or (), view["open"], strict=False) if found is case.device]
    entry: Mapping[str, Any] = next(iter(entries), {})
    source, opened, why = entry.get("source"), entry.get("open"), entry.get("why")
    if opened:
        return Check(PASS, f"process {view['pid']} has {source} open")
    if opened is False:
        evidence = {"pid": view["pid"], "source": source, "why": why}
        case.find(kinds.NOT_OPEN, evidence, pid=view["pid"], source=source)
        return Check(FAIL, f"process {view['pid']} has {source} not open" + (f": {why}" if why else ""))
    if case.device.device is not None and case.device.device.source.kind == "builtin":
        return Check(NOT_APPLICABLE, str(why or "nothing to open: QEMU asks the kernel"))
    case.find(kinds.NOT_SEEN_OPEN, {"why": why}, why=why or "not told")
    return Check(UNKNOWN, str(why or "not told"))


# The guest's own kernel ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inside:
    """What is known of the guest's kernel, and from whom; None where nobody could tell."""

    by: str
    driver: bool | None = None
    current: str | None = None  # "" when the kernel uses none
    available: tuple[str, ...] = ()

    @classmethod
    def of(cls, case: Case) -> Inside:
        """The agent's answer, else that of ``rng_info`` over a connection of its own."""
        view = case.guest.guest_view or {}
        told = cls("the guest's agent")
        if view.get("status") == "seen":
            told = cls._read("the guest's agent", view.get("rng") or {}, view.get("driver"))
        if told.driver is not None and told.current is not None:
            return told
        inside = case.inside()
        return told if inside is None else cls._read("rng_info", inside, None)

    @classmethod
    def _read(cls, by: str, rng: Mapping[str, Any], driver: bool | None) -> Inside:
        current, available = rng.get("current"), rng.get("available")
        if current is None and available is not None:
            current = ""  # the kernel was there to be read, and names none
        if driver is None:
            driver = DRIVER.get(str(rng.get("virtio_rng")))
        if current and str(current).startswith(_VIRTIO):
            driver = True  # nobody else gives an RNG that name
        names = tuple(printable(str(name), 100) for name in (available or ())[:10])
        return cls(by, driver, None if current is None else printable(str(current), 100), names)

    @property
    def virtio_name(self) -> str:
        """For a command, so nothing but what the kernel itself may have written."""
        names = [name for name in self.available if re.fullmatch(rf"{_VIRTIO}\.[0-9]{{1,4}}", name, re.ASCII)]
        return next(iter(names), f"{_VIRTIO}.0")


def check_driver(case: Case, inside: Inside) -> Check:
    """The virtio RNG driver is there."""
    if case.device is None:
        return Check(NOT_APPLICABLE, "no RNG to judge")
    if inside.driver is None:
        return Check(UNKNOWN, _why_silent(case))
    if inside.driver:
        return Check(PASS, f"there, as {inside.by} says")
    case.find(kinds.NO_DRIVER, {"driver": False, "by": inside.by})
    return Check(FAIL, f"missing, as {inside.by} says")


def check_current(case: Case, inside: Inside) -> Check:
    """The guest's kernel draws from the virtio RNG."""
    if case.device is None:
        return Check(NOT_APPLICABLE, "no RNG to judge")
    current = inside.current
    if current is None:
        return Check(UNKNOWN, _why_silent(case))
    if current.startswith(_VIRTIO):
        return Check(PASS, f"{current}, as {inside.by} says")
    evidence = {"current": current or None, "available": list(inside.available), "by": inside.by}
    if current:
        case.find(kinds.OTHER_CURRENT, evidence, current=current, name=inside.virtio_name)
    elif inside.driver is not False:  # without a driver it cannot be otherwise
        available = " ".join(inside.available) or "none"
        case.find(kinds.NO_CURRENT, evidence, available=available, name=inside.virtio_name)
    return Check(FAIL, f"{current or 'none'}, as {inside.by} says")


def _why_silent(case: Case) -> str:
    view = case.guest.guest_view
    if view is None:
        return "the guest was not asked"
    return str(view.get("why") or (view["status"] if view["status"] != "seen" else "the guest's files do not tell"))


def report_silence(case: Case) -> None:
    """Why the guest's kernel could not be asked, and what would help."""
    view, connection = case.guest.guest_view, case.unreached()
    evidence = {"connection": connection} if connection else {}
    kind = kinds.NOT_ASKED
    if view is not None:
        status = str(view["status"])
        kind = _SILENT.get(status, kinds.CANNOT_TELL)
        evidence["status"] = printable(status, 40)
    case.find(kinds.unreached(kind) if connection else kind, evidence, why=_why_silent(case), connection=connection)
