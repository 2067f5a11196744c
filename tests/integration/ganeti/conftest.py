# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster, with real instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from integration.libvirt.hypervisor import Hypervisor, Outcome, essence
from lab import HostSpec, Lab, LabSpec, ganeti

SPEC = LabSpec((HostSpec("gnt1", kind="ganeti"), HostSpec("gnt2", kind="none")))


@dataclass(frozen=True)
class Site:
    """The cluster together with the modules under test."""

    hypervisor: Hypervisor
    cluster: ganeti.Cluster

    def converge(self, devices: list[dict[str, Any]], **options: Any) -> Outcome:
        """Check mode, the real run and a second run, and what must be true of each; answers the real one."""
        task = self.task(devices, **options)
        predicted, applied, again = self.hypervisor.play({**task, "check_mode": True, "diff": True}, task, task)
        assert essence(predicted) == essence(applied)
        assert not again.changed, again.result
        return applied

    def task(self, devices: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        named = [{**device, "guest": self.cluster.name(device["guest"])} for device in devices]
        return {"fleet.rng.ganeti_rng": {"devices": named, **options}}

    def observe(self) -> dict[str, dict[str, Any]]:
        (outcome,) = self.hypervisor.play({"fleet.rng.ganeti_rng_info": {}})
        assert not outcome.failed, outcome.output
        return {guest["name"].partition(".")[0]: guest for guest in outcome.result["guests"]}

    def jobs(self) -> str:
        return self.cluster.gnt("job", "list", "--no-headers", "-o", "id")


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


@pytest.fixture(scope="session")
def site(lab: Lab) -> Site:
    host = lab.host("gnt1")
    return Site(Hypervisor(lab, host), ganeti.Cluster(host))


@pytest.fixture
def instance(site: Site) -> Iterator[Callable[..., str]]:
    """A function that adds an instance, which goes when the test ends."""
    added: list[str] = []

    def add(name: str, *parameters: str) -> str:
        full = site.cluster.add(name, *parameters)
        added.append(name)
        return full

    yield add
    for name in added:
        site.cluster.remove(name)


@pytest.fixture
def cluster_extra(site: Site) -> Iterator[Callable[[str], None]]:
    """A function that gives the cluster a kvm_extra, as ``-H`` takes it."""

    def give(value: str) -> None:
        site.cluster.gnt("cluster", "modify", "-H", f"kvm:kvm_extra={value}")

    yield give
    give("")
