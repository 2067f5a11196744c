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
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import KINDS
from ansible_collections.fleet.rng.plugins.module_utils.text import printable

_BACKENDS = "ansible_collections.fleet.rng.plugins.module_utils.backend"


def capabilities_of(hypervisor: Mapping[str, Any]) -> Capabilities:
    """The capabilities of the kind, less what this one says that it has not.

    It says so with ``rng_models``, ``rng_backends`` and ``rng_paths`` (lists of what it has), ``rng_slots`` (a number)
    and ``rng_rates`` (false); what is null or missing is as usual for the kind.
    """
    kind = hypervisor.get("kind")
    if kind not in KINDS:  # before it becomes part of a module's name: it comes from the host
        raise HypervisorError(f"unknown kind of hypervisor: {printable(str(kind), 40)}; known: {', '.join(KINDS)}")
    known = _of_kind(kind)
    paths, slots = hypervisor.get("rng_paths"), hypervisor.get("rng_slots")
    if paths is not None and known.paths is None:
        paths = tuple(path for path in paths if isinstance(path, str))
    return replace(
        known,
        models=_less(known.models, hypervisor.get("rng_models")),
        sources=_less(known.sources, hypervisor.get("rng_backends")),
        paths=paths if known.paths is None else _less(known.paths, paths),
        slots=slots if isinstance(slots, int) else known.slots,
        rates=known.rates and hypervisor.get("rng_rates") is not False,
    )


def _less(known: Any, said: Any) -> Any:
    return known if said is None else tuple(one for one in known if one in said)


@cache
def _of_kind(kind: str) -> Capabilities:
    try:
        backend = importlib.import_module(f"{_BACKENDS}.{kind}")
    except ImportError as error:
        raise HypervisorError(f"this version of the collection has no backend for {kind}") from error
    capabilities: Capabilities = backend.CAPABILITIES
    return capabilities
