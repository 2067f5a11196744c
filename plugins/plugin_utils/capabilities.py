# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hypervisor can carry, known on the controller from what its ``_info`` module returned."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import Capabilities
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable

KINDS = ("libvirt", "qemu", "proxmox", "ganeti")
_BACKENDS = "ansible_collections.fleet.rng.plugins.module_utils.backend"


def capabilities_of(hypervisor: Mapping[str, Any]) -> Capabilities:
    """The capabilities of the kind, less what this one says that it has not (``rng_models``, ``rng_backends``)."""
    kind = hypervisor.get("kind")
    if kind not in KINDS:  # before it becomes part of a module's name: it comes from the host
        raise HypervisorError(f"unknown kind of hypervisor: {printable(str(kind), 40)}; known: {', '.join(KINDS)}")
    known = _of_kind(kind)
    models, sources = hypervisor.get("rng_models"), hypervisor.get("rng_backends")
    return replace(
        known,
        models=known.models if models is None else tuple(model for model in known.models if model in models),
        sources=known.sources if sources is None else tuple(source for source in known.sources if source in sources),
    )


@cache
def _of_kind(kind: str) -> Capabilities:
    try:
        backend = importlib.import_module(f"{_BACKENDS}.{kind}")
    except ImportError as error:
        raise HypervisorError(f"this version of the collection has no backend for {kind}") from error
    capabilities: Capabilities = backend.CAPABILITIES
    return capabilities
