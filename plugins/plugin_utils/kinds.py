# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of hypervisors: how one tells what runs on a host, and which modules serve it with which options.

Proxmox VE, Ganeti and libvirt run QEMU processes of their own. So plain QEMU is only what is left where none of those
is there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable

AUTO = "auto"
LIBVIRT, QEMU, PROXMOX, GANETI = KINDS = ("libvirt", "qemu", "proxmox", "ganeti")

VIEWS = ("guest_view", "guest_exec", "host_view", "monitor", "measure", "guests", "timeout")

# What operators type: to give a guest what its configuration has, to see what the hypervisor says of it, and where the
# log of its QEMU is. {domain} is the guest in the words of its kind.
COMMANDS: Mapping[str, Mapping[str, str]] = {
    LIBVIRT: {
        "restart": "virsh shutdown {domain}, then virsh start {domain}",
        "show": "virsh dumpxml {domain}",
        "log": "/var/log/libvirt/qemu",
    },
    QEMU: {
        "restart": "in the way that its unit or script does it",
        "show": "the output of its unit or script",
        "log": "the journal of its unit",
    },
    PROXMOX: {
        "restart": "qm shutdown {domain}, then qm start {domain}",
        "show": "qm config {domain} --current",
        "log": "the task log of the node",
    },
    GANETI: {
        "restart": "gnt-instance shutdown {domain}, then gnt-instance startup {domain}",
        "show": "gnt-instance info {domain}",
        "log": "/var/log/ganeti/kvm",
    },
}

_BEGIN = "fleet-rng-kinds"
_RUNS, _INSTALLED, _PROCESSES = "runs", "installed", "processes"

# Sockets and files before programs: a program that is installed says little where something else runs. The names of
# processes are cut to 15 characters by the kernel.
_SCRIPT = f"""
PATH=$PATH:/usr/sbin:/sbin
echo {_BEGIN}
for socket in libvirt-sock libvirt-sock-ro virtqemud-sock virtqemud-sock-ro; do
    [ -S /run/libvirt/$socket ] || [ -S /var/run/libvirt/$socket ] && echo {_RUNS} libvirt && break
done
command -v pvesh >/dev/null && echo {_RUNS} proxmox
[ -e /var/lib/ganeti/ssconf_cluster_name ] && echo {_RUNS} ganeti
for program in libvirtd virtqemud; do
    command -v $program >/dev/null && echo {_INSTALLED} libvirt && break
done
command -v gnt-instance >/dev/null && echo {_INSTALLED} ganeti
for file in /proc/[0-9]*/comm; do
    read -r name <"$file" || continue
    case $name in qemu-system*|qemu-kvm|kvm) echo {_PROCESSES} qemu; break ;; esac
done
echo end
"""
COMMAND = f"sh -c {shlex.quote(_SCRIPT.strip())} 2>/dev/null"


def tell_kind(output: str) -> str:
    """The kind of the host that answered ``COMMAND`` with ``output``.

    :raises HypervisorError: when it runs several kinds, none that is known, or did not run the command.
    """
    lines = output.splitlines()
    begin = lines.index(_BEGIN) if _BEGIN in lines else len(lines)
    if "end" not in lines[begin:]:
        shown = printable(output.strip(), 200)
        raise HypervisorError("what runs on this host cannot be told" + (f"; it said: {shown}" if shown else ""))
    marks = [tuple(line.split(" ", 1)) for line in lines[begin + 1 :]]
    for certainty in (_RUNS, _INSTALLED, _PROCESSES):
        found = [kind for kind in KINDS if (certainty, kind) in marks]
        if len(found) > 1:
            raise HypervisorError(
                f"several kinds of hypervisor are on this host: {', '.join(found)}; "
                "set virtio_rng_hypervisor to the one that is meant"
            )
        if found:
            return found[0]
    raise HypervisorError(
        f"no hypervisor was recognized on this host (known: {', '.join(KINDS)}; plain QEMU by its processes); "
        "set virtio_rng_hypervisor if it has one"
    )


def needs_root(kind: str, options: Mapping[str, Any]) -> bool:
    """Whether observing takes more rights than those of an ordinary user.

    libvirt lets anybody read; only root may try a source with the rights of QEMU, or look into guests.
    """
    return kind != LIBVIRT or any(options.get(name) for name in ("sources", "guest_view", "host_view"))


def observing(kind: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The module that observes a hypervisor, and its arguments; what is null is left out."""
    arguments = {name: value for name, value in options.items() if name in ("sources", *VIEWS) and value is not None}
    return f"fleet.rng.{kind}_rng_info", {**arguments, **_own(kind, options)}


def converging(kind: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The module that changes guests of a hypervisor, and its arguments; what is null is left out."""
    arguments = {
        name: value for name, value in options.items() if name not in ("kind", "options") and value is not None
    }
    return f"fleet.rng.{kind}_rng", {**arguments, **_own(kind, options)}


def _own(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that only this kind has."""
    by_kind = options.get("options") or {}
    unknown = [printable(str(name), 40) for name in by_kind if name not in KINDS]
    if unknown:
        raise InvalidValueError("options", ", ".join(unknown), f"mappings of {', '.join(KINDS)}")
    own = by_kind.get(kind)
    if own is not None and not isinstance(own, Mapping):
        raise InvalidValueError(f"options.{kind}", own, "a mapping of options of its module")
    return {name: value for name, value in (own or {}).items() if value is not None}
