# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kind of hypervisor runs on a host: one shell script, and what its answer means.

Proxmox VE, Ganeti and libvirt run QEMU processes of their own. So plain QEMU is only what is left where none of those
is there. The controller runs the script through its connection, the watch by itself.
"""

from __future__ import annotations

import shlex
from typing import Tuple

from .errors import HypervisorError
from .text import printable

LIBVIRT, QEMU, PROXMOX, GANETI = KINDS = ("libvirt", "qemu", "proxmox", "ganeti")

_BEGIN = "fleet-rng-kinds"
_RUNS, _INSTALLED, _PROCESSES = "runs", "installed", "processes"

# Sockets and files before programs: a program that is installed says little where something else runs. The names of
# processes are cut to 15 characters by the kernel.
SCRIPT = f"""
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
""".strip()
COMMAND = f"sh -c {shlex.quote(SCRIPT)} 2>/dev/null"


def recognized(output: str) -> Tuple[str, ...]:
    """The kinds on the host that answered the script with ``output``: one, if that is clear.

    :raises HypervisorError: when it did not run the script.
    """
    lines = output.splitlines()
    begin = lines.index(_BEGIN) if _BEGIN in lines else len(lines)
    if "end" not in lines[begin:]:
        shown = printable(output.strip(), 200)
        raise HypervisorError("what runs on this host cannot be told" + (f"; it said: {shown}" if shown else ""))
    marks = [tuple(line.split(" ", 1)) for line in lines[begin + 1 :]]
    for certainty in (_RUNS, _INSTALLED, _PROCESSES):
        found = tuple(kind for kind in KINDS if (certainty, kind) in marks)
        if found:
            return found
    return ()


def the_only(found: Tuple[str, ...]) -> str:
    """The kind that was recognized.

    :raises HypervisorError: when it is none, or several.
    """
    if len(found) > 1:
        raise HypervisorError(
            f"several kinds of hypervisor are on this host: {', '.join(found)}; "
            "set virtio_rng_hypervisor to the one that is meant"
        )
    if not found:
        raise HypervisorError(
            f"no hypervisor was recognized on this host (known: {', '.join(KINDS)}; plain QEMU by its processes); "
            "set virtio_rng_hypervisor if it has one"
        )
    return found[0]
