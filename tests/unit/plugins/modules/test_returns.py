# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of all kinds of hypervisors return the same, and say so alike, except where a kind differs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.module_utils.host_kind import KINDS

# Views are described once, by the first kind; the others repeat of them what matters for them.
REFERENCE = KINDS[0]
VIEWS = ("guests.guest_view.", "guests.host_view.")
OWN = {"proxmox": {"guests.number"}, "qemu": {"host.hypervisor.skipped"}}

# What has another meaning, another source or another name with some kind.
DIFFER = {
    "_rng": {"guests.config", "guests.live"},
    "_rng_info": {
        "guests", "guests.arch", "guests.blocked", "guests.config", "guests.config.alias", "guests.config.driver",
        "guests.config.model", "guests.guest_view", "guests.guest_view.measured", "guests.guest_view.rng",
        "guests.guest_view.status", "guests.host_view", "guests.host_view.qemu", "guests.live", "guests.name",
        "guests.notes", "guests.persistent", "guests.running", "guests.uuid", "host", "host.hypervisor.kind",
        "host.hypervisor.rng_backends", "host.hypervisor.rng_models", "host.hypervisor.version", "host.sources",
    },
}  # fmt: skip

Fields = dict[str, Mapping[str, Any]]


def flat(returns: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, entry in returns.items():
        yield above + name, entry
        yield from flat(entry.get("contains", {}), f"{above}{name}.")


def fields(kind: str, ending: str) -> Fields:
    module = importlib.import_module(f"ansible_collections.fleet.rng.plugins.modules.{kind}{ending}")
    return dict(flat(yaml.safe_load(module.RETURN)))


@pytest.fixture(params=sorted(DIFFER))
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_returns_the_same(kind: str, ending: str) -> None:
    found, known = fields(kind, ending).keys(), fields(REFERENCE, ending).keys()
    own = OWN.get(kind, set()) if ending == "_rng_info" else set()
    assert found - known == own
    assert [name for name in known - found if not name.startswith(VIEWS)] == []


@pytest.mark.parametrize("key", ["type", "elements", "returned"])
def test_of_the_same_types(key: str, ending: str) -> None:
    known = fields(REFERENCE, ending)
    for kind in KINDS:
        for name, entry in fields(kind, ending).items():
            assert entry.get(key) == known.get(name, entry).get(key), f"{kind}: {name}"


def test_what_means_the_same_is_said_alike(ending: str) -> None:
    texts: dict[str, set[str]] = {}
    for kind in KINDS:
        for name, entry in fields(kind, ending).items():
            said = str(entry["description"]).replace(f"fleet.rng.{kind}_rng#", "fleet.rng.*_rng#")
            texts.setdefault(name, set()).add(said)
    assert {name for name, said in texts.items() if len(said) > 1} == DIFFER[ending]
