# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities by kind, narrowed by what the hypervisor says of itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt import CAPABILITIES
from ansible_collections.fleet.rng.plugins.module_utils.device import DRIVER_OPTIONS, MODELS
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import KINDS
from ansible_collections.fleet.rng.plugins.plugin_utils.capabilities import capabilities_of

PAGE = Path(__file__).resolve().parents[4] / "docs" / "policy.md"
TITLES = {
    "libvirt": "libvirt",
    "[plain QEMU](qemu.md)": "qemu",
    "[Proxmox VE](proxmox.md)": "proxmox",
    "[Ganeti](ganeti.md)": "ganeti",
}
SOURCES = {"random": "character devices", "builtin": "`builtin`", "egd": "EGD"}
HEAD = "| kind | sources | model and driver options | RNGs of a guest | while a guest runs | restarts |"


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


def in_words(kind: str) -> list[str]:
    """The row of a kind in the table of docs/policy.md, as its capabilities have it."""
    can = capabilities_of({"kind": kind})
    sources = ", ".join(SOURCES[source] for source in can.sources)
    if can.paths is not None:
        sources = ", ".join(f"`{path}`" for path in can.paths)
    elif set(can.sources) == set(SOURCES):
        sources = "all"
    all_shapes = (can.models, can.driver_options) == (MODELS, DRIVER_OPTIONS)
    assert all_shapes or (len(can.models), can.driver_options) == (1, ()), "something that has no words yet"
    return [
        sources,
        "all" if all_shapes else "no choice",
        {None: "any number", 1: "one"}[can.slots],
        "added, replaced, removed" if can.hotplug else "at its next start",
        "yes" if can.restart else "no",
    ]


def test_the_page_says_what_each_kind_can() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index(HEAD) + 2
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[begin : lines.index("", begin)]]
    assert {TITLES[row[0]]: row[1:] for row in rows} == {kind: in_words(kind) for kind in KINDS}
