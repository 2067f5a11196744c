# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to libvirtd: the only file that imports the libvirt binding. It moves documents and decides nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Callable, List, Set, TypeVar

from ..errors import GuestError, HypervisorError, TimedOutError
from ..observation import CONFIG
from ..text import printable

try:
    import libvirt

    HAS_LIBVIRT = True
except ImportError:
    HAS_LIBVIRT = False

T = TypeVar("T")


class ConnectionLostError(HypervisorError):
    """The daemon went away in the middle; what was under way may or may not have happened."""


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
