# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to libvirtd: the only file that imports the libvirt binding. It moves documents and decides nothing."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, Callable, List, Set, TypeVar

from ..bounded import bounded
from ..errors import GuestError, HypervisorError, TimedOutError
from ..observation import CONFIG
from ..text import printable
from .agent import ANSWER_LIMIT, GARBAGE, NO_AGENT, REFUSED, TIMED_OUT, AgentError

try:
    import libvirt
    import libvirt_qemu

    HAS_LIBVIRT = True
except ImportError:
    HAS_LIBVIRT = False

T = TypeVar("T")


class ConnectionLostError(HypervisorError):
    """The daemon went away in the middle; what was under way may or may not have happened."""


class NotRunningError(GuestError):
    """What was asked needs a running guest, and this one is off, or paused."""


@dataclass(frozen=True)
class DomainEntry:
    """One row of libvirt's list of domains, with what the list itself tells for free."""

    handle: Any
    name: str
    uuid: str
    running: bool
    persistent: bool = True
    managed_save: bool = False
    snapshots: bool = False


class Connection:
    """One connection to one libvirt URI.

    :raises HypervisorError: when the binding is missing for this interpreter, or nobody answers at the URI.
    """

    def __init__(self, uri: str, readonly: bool) -> None:
        if not HAS_LIBVIRT:
            raise HypervisorError(
                f"{sys.executable} on this host has no module libvirt: install python3-libvirt for it, "
                "or set ansible_python_interpreter to the interpreter that has it"
            )
        # Errors come as exceptions; the binding would also print each of them to standard error.
        libvirt.registerErrorHandler(lambda context, error: None, None)
        self.uri = uri
        try:
            self._connection = libvirt.openReadOnly(uri) if readonly else libvirt.open(uri)
        except libvirt.libvirtError as error:
            way = "reading" if readonly else "writing"
            refused = error.get_error_code() in (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_AUTH_FAILED)
            hint = " (is libvirtd running, and may this user open it? become may be needed)" if refused else ""
            raise HypervisorError(f"cannot open {uri} for {way}: {_message(error)}{hint}") from error

    def version(self) -> str:
        number = self.ask(self._connection.getLibVersion)
        return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"

    def capabilities(self) -> str:
        return str(self.ask(self._connection.getCapabilities))

    def domain_capabilities(self, emulator: str, arch: str, machine: str, virttype: str) -> str:
        """Refused by libvirt on a read-only connection."""
        return str(self.ask(lambda: self._connection.getDomainCapabilities(emulator or None, arch, machine, virttype)))

    def domains(self) -> List[DomainEntry]:
        """All domains, running or not, in four calls however many there are."""

        def chosen(flag: int) -> Set[str]:
            return {domain.UUIDString() for domain in self.ask(lambda: self._connection.listAllDomains(flag))}

        everything = self.ask(lambda: self._connection.listAllDomains(0))
        transient = chosen(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)
        saved = chosen(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        snapshots = chosen(libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)
        return [
            DomainEntry(
                handle=domain,
                name=domain.name(),
                uuid=domain.UUIDString(),
                running=domain.ID() >= 0,
                persistent=domain.UUIDString() not in transient,
                managed_save=domain.UUIDString() in saved,
                snapshots=domain.UUIDString() in snapshots,
            )
            for domain in everything
        ]

    def domain(self, uuid: str) -> DomainEntry:
        """One domain, in one call: all that changing it takes. What only the list tells is left at its default.

        :raises GuestError: when it is no longer there.
        """
        domain = self.ask(lambda: self._connection.lookupByUUIDString(uuid))
        return DomainEntry(domain, domain.name(), uuid, running=domain.ID() >= 0)

    def is_persistent(self, entry: DomainEntry) -> bool:
        return bool(self.ask(entry.handle.isPersistent))

    def is_active(self, entry: DomainEntry) -> bool:
        return bool(self.ask(entry.handle.isActive))

    def is_paused(self, entry: DomainEntry) -> bool:
        return bool(self.ask(entry.handle.state)[0] != libvirt.VIR_DOMAIN_RUNNING)

    def has_job(self, entry: DomainEntry) -> bool:
        """Whether it is being migrated, backed up, saved or dumped."""
        try:  # one that has only just begun says that it is completed; those that have ended are not listed here
            return bool(self.ask(entry.handle.jobInfo)[0] != libvirt.VIR_DOMAIN_JOB_NONE)
        except GuestError:
            return False  # it has ended meanwhile

    def shut_down(self, entry: DomainEntry) -> None:
        """Ask for it, through its agent where it has one, else by its power button."""
        self.ask(entry.handle.shutdown)

    def destroy(self, entry: DomainEntry) -> None:
        self.ask(entry.handle.destroy)

    def start(self, entry: DomainEntry) -> None:
        self.ask(entry.handle.create)

    def xml(self, entry: DomainEntry, layer: str) -> str:
        """The domain's document of one layer, always without its secrets; of one that is off, both are its config."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if layer == CONFIG else 0
        return str(self.ask(lambda: entry.handle.XMLDesc(flags)))

    def attach(self, entry: DomainEntry, layer: str, xml: str) -> None:
        self.ask(lambda: entry.handle.attachDeviceFlags(xml, _affect(layer)))

    def detach_alias(self, entry: DomainEntry, layer: str, alias: str) -> None:
        self.ask(lambda: entry.handle.detachDeviceAlias(alias, _affect(layer)))

    def detach_xml(self, entry: DomainEntry, layer: str, xml: str) -> None:
        self.ask(lambda: entry.handle.detachDeviceFlags(xml, _affect(layer)))

    def agent(self, entry: DomainEntry, command: str, timeout: float) -> str:
        """One command for the guest's QEMU agent, as JSON, and its answer.

        libvirt looks whether the agent answers at all before it sends the command, and takes up to five seconds more
        for that.

        :raises AgentError: with the kind of the failure; the words of an error may be the guest's.
        """
        seconds = max(1, math.ceil(timeout))
        try:
            return str(libvirt_qemu.qemuAgentCommand(entry.handle, command, seconds, 0))
        except libvirt.libvirtError as error:
            if not self._connection.isAlive():
                raise ConnectionLostError(f"libvirt at {self.uri} went away: {_message(error)}") from error
            raise _agent_error(error) from error

    def monitor(self, entry: DomainEntry, command: str, timeout: float) -> str:
        """One command for the guest's QEMU, as JSON, and its answer. libvirt marks the guest as tainted by it.

        :raises TimedOutError: after so many seconds; libvirt has no time limit of its own here.
        :raises GuestError: when libvirt or QEMU refuses it, or the answer is too long.
        """

        def attempt() -> str:
            return str(libvirt_qemu.qemuMonitorCommand(entry.handle, command, 0))

        answer = bounded(lambda: self.ask(attempt), "asking QEMU", timeout, TimedOutError)
        if len(answer) > ANSWER_LIMIT:
            raise GuestError(f"QEMU answered {len(answer)} characters, more than {ANSWER_LIMIT}")
        return answer

    def ask(self, call: Callable[[], T]) -> T:
        """Run one call, and tell a dead connection (nobody's fault) from an error about the domain."""
        try:
            return call()
        except libvirt.libvirtError as error:
            if not self._connection.isAlive():
                raise ConnectionLostError(f"libvirt at {self.uri} went away: {_message(error)}") from error
            raise _guest_error(error) from error


def _affect(layer: str) -> int:
    # Never "current": it means the config of a guest that is off and only the live state of one that runs.
    return int(libvirt.VIR_DOMAIN_AFFECT_CONFIG if layer == CONFIG else libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _message(error: Any) -> str:
    """libvirt's words, made harmless: an answer of a guest's agent can be inside them."""
    return printable(error.get_error_message() or str(error), 400)


def _guest_error(error: Any) -> GuestError:
    code = error.get_error_code()
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return GuestError("the guest is no longer there")
    if code == libvirt.VIR_ERR_OPERATION_TIMEOUT:
        return TimedOutError(f"QEMU did not answer, the outcome is unknown; run again later ({_message(error)})")
    return GuestError(f"libvirt: {_message(error)}")


def _agent_error(error: Any) -> GuestError:
    """The kind by libvirt's code. Of 86 it means two things: the agent is not connected, or it does not answer."""
    code = error.get_error_code()
    if code in (libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, libvirt.VIR_ERR_AGENT_UNRESPONSIVE):
        kind = NO_AGENT if code == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED else TIMED_OUT
        return AgentError(kind, f"libvirt: {_message(error)}")
    if code in (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_AGENT_UNSYNCED):
        return AgentError(TIMED_OUT, f"libvirt: {_message(error)}")
    if code == libvirt.VIR_ERR_INTERNAL_ERROR:  # what the agent answered with an error comes as this one
        return AgentError(REFUSED, _message(error))
    if code == libvirt.VIR_ERR_RPC:
        return AgentError(GARBAGE, f"the agent's answer is longer than libvirt hands out ({_message(error)})")
    if code == libvirt.VIR_ERR_OPERATION_INVALID:
        return NotRunningError(f"libvirt: {_message(error)}")
    return _guest_error(error)
