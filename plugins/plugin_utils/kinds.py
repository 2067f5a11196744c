# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of hypervisors: which modules serve each, with which options, and what operators type there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import GANETI, KINDS, LIBVIRT, PROXMOX, QEMU
from ansible_collections.fleet.rng.plugins.module_utils.text import printable

AUTO = "auto"

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


def given_kind(options: Mapping[str, Any]) -> str:
    """The kind that is given. With an API to ask there is nothing to find out, and maybe no way to the host itself."""
    kind = str(options["kind"])
    return PROXMOX if kind == AUTO and over_api(PROXMOX, _own(PROXMOX, options)) else kind


def over_api(kind: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the module with these arguments asks an API that can be asked from the controller."""
    return kind == PROXMOX and bool(arguments.get("api_host"))


def _own(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that only this kind has. What is null or empty is left to the module, and to its own defaults."""
    by_kind = options.get("options") or {}
    unknown = [printable(str(name), 40) for name in by_kind if name not in KINDS]
    if unknown:
        raise InvalidValueError("options", ", ".join(unknown), f"mappings of {', '.join(KINDS)}")
    own = by_kind.get(kind)
    if own is not None and not isinstance(own, Mapping):
        # Not shown: there may be secrets in it.
        raise InvalidValueError(f"options.{kind}", f"({type(own).__name__})", "a mapping of options of its module")
    return {name: value for name, value in (own or {}).items() if value is not None and value != ""}
