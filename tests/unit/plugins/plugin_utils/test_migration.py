# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration groups by themselves; what a plan makes of them is in the table cases/plan/migration.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.device import Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.migration import Destination, Migration, Rules
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated

HWRNG, URANDOM = Source.parse("/dev/hwrng"), Source.parse("/dev/urandom")
ALL_KINDS = ("random", "builtin", "egd")


class Counted(Mapping[str, str | None]):
    """The sources of a hypervisor, and how often they were looked at."""

    looks = 0

    def __init__(self, tried: Mapping[str, str | None]) -> None:
        self._tried = tried

    def __getitem__(self, name: str) -> str | None:
        Counted.looks += 1
        return self._tried[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tried)

    def __len__(self) -> int:
        return len(self._tried)


@pytest.mark.parametrize("mode", ["refuse", "warn"])
def test_a_large_group_is_judged_once_for_each_source(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counted, "looks", 0)
    hosts = [f"hv{number}" for number in range(1000)]
    tried = {host: Counted({"/dev/urandom": None, "/dev/hwrng": "gone" if host == "hv7" else None}) for host in hosts}
    migration = Migration({"kvm": hosts}, {host: Destination(tried[host], ALL_KINDS) for host in hosts})
    refused = 0
    for host in hosts:
        rules = migration.rules(host, {"migration_groups": ["kvm"], "migration": mode})
        for number in range(20):
            refused += bool(migration.refusal(rules, host, f"{host}-{number}", HWRNG if number else URANDOM))
    lines = migration.warnings()
    assert Counted.looks <= 2 * 2 * len(hosts)  # "in" looks too
    assert (refused, len(lines)) == ((999 * 19, 0) if mode == "refuse" else (0, 1))
    if lines:
        assert lines[0].endswith("guests that may move there: hv0-1, hv0-2, hv0-3, hv0-4, hv0-5 and 18976 more")


def test_a_template_that_fails_names_its_variable() -> None:
    migration = Migration({"kvm": ["hv1"]}, {})
    for variable in ("migration", "migration_groups"):
        with pytest.raises(RngError, match=f"^hypervisor hv1: virtio_rng_{variable}: its template failed: 'x' is"):
            migration.rules("hv1", {variable: Untemplated("'x' is undefined")})


def test_without_groups_nothing_is_asked() -> None:
    migration = Migration({}, {})
    for variables in ({}, {"migration_groups": None}, {"migration_groups": []}, {"migration": "warn"}):
        rules = migration.rules("hv1", variables)
        assert not rules.hold
        assert migration.refusal(rules, "hv1", "a", HWRNG) == ""
    assert migration.warnings() == []


def test_a_group_of_one_has_nowhere_to_go() -> None:
    migration = Migration({"kvm": ["hv1"]}, {})
    assert migration.refusal(Rules(("kvm",)), "hv1", "a", HWRNG) == ""
    assert migration.warnings() == []


def test_what_hosts_and_guests_say_is_made_printable() -> None:
    destinations = {"hv2": Destination({"/dev/hwrng": "\x1b[2J" + "x" * 999}, ALL_KINDS)}
    migration = Migration({"k\n": ["hv1", "hv2"]}, destinations)
    refused = migration.refusal(Rules(("k\n",)), "hv1", "\u202ea", HWRNG)
    assert refused.isprintable()
    assert len(refused) < 600
    migration.refusal(Rules(("k\n",), "warn"), "hv1", "\u202ea", HWRNG)
    assert all(line.isprintable() for line in migration.warnings())


GOLD = Source.parse("egd+unix:/run/virtrngd/gold.sock")


@pytest.mark.parametrize(
    ("tried", "objection"),
    [
        ({"broker": None, str(GOLD): None}, ""),
        ({"broker": None, "egd+unix:/run/virtrngd/silver.sock": None}, "is no class of the broker there"),
        (
            {"broker": "no broker is there: /run/virtrngd: gone"},
            "is not served: no broker is there: /run/virtrngd: gone",
        ),
        ({"broker": None, str(GOLD): f"source {GOLD}: nobody accepts there"}, "is not safe: nobody accepts there"),
        ({}, "was not tried: virtio_rng_sources and virtio_rng_migration_groups of that hypervisor say what is"),
    ],
)
def test_a_class_of_the_broker_has_to_be_there_too(tried: Mapping[str, str | None], objection: str) -> None:
    assert Destination(tried, ALL_KINDS).objection(GOLD) == objection


def test_another_socket_has_nothing_to_do_with_the_broker() -> None:
    found = Destination({"broker": "no broker is there"}, ALL_KINDS).objection(Source.parse("egd+unix:/run/egd.sock"))
    assert found.startswith("was not tried: ")
