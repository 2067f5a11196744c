# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities by kind, narrowed by what the hypervisor says of itself."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt import CAPABILITIES
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.plugin_utils.capabilities import capabilities_of


@pytest.mark.parametrize(
    "facts", [{"kind": "libvirt"}, {"kind": "libvirt", "rng_models": None, "rng_backends": None, "version": "9.0.0"}]
)
def test_a_kind_that_says_no_more(facts: dict[str, object]) -> None:
    assert capabilities_of(facts) == CAPABILITIES


def test_a_hypervisor_can_only_take_away() -> None:
    found = capabilities_of({"kind": "libvirt", "rng_models": ["virtio", "magic"], "rng_backends": ["egd", "random"]})
    assert found.models == ("virtio",)
    assert found.sources == ("random", "egd")
    assert found.max_bytes == CAPABILITIES.max_bytes


def test_a_hypervisor_can_say_that_it_has_limits() -> None:
    found = capabilities_of(
        {"kind": "libvirt", "rng_paths": ["/dev/urandom", None], "rng_slots": 1, "rng_rates": False}
    )
    assert found == dataclasses.replace(CAPABILITIES, paths=("/dev/urandom",), slots=1, rates=False)


def test_what_is_null_is_as_usual_for_the_kind() -> None:
    assert capabilities_of({"kind": "libvirt", "rng_paths": None, "rng_slots": None, "rng_rates": None}) == CAPABILITIES


@pytest.mark.parametrize("kind", ["bhyve", "", None, "../libvirt", "libvirt\n", ["libvirt"]])
def test_an_unknown_kind_is_never_imported(kind: object) -> None:
    with pytest.raises(HypervisorError, match=r"unknown kind of hypervisor: .*; known: libvirt, qemu"):
        capabilities_of({"kind": kind})
