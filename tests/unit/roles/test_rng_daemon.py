# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the role rng_daemon: alike for every distribution, and of one mind with what the audit knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.module_utils.kernel.probe import DAEMONS as PROBED
from ansible_collections.fleet.rng.plugins.plugin_utils.daemon import DAEMONS, POLICIES

ROLE = Path(__file__).resolve().parents[3] / "roles" / "rng_daemon"
FAMILIES = ("Alpine", "Archlinux", "Debian", "RedHat", "Suse", "Ubuntu")
KEYS = {"package": str, "arguments": list, "options_file": str, "options_variables": list}


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("family", FAMILIES)
def test_every_table_has_the_same_keys(family: str) -> None:
    table = read(f"vars/{family}.yml")
    assert list(table) == ["__rng_daemon_table"]
    assert tuple(table["__rng_daemon_table"]) == DAEMONS
    for entry in table["__rng_daemon_table"].values():
        assert {key: type(value) for key, value in entry.items()} == KEYS
        assert all(isinstance(word, str) for word in entry["arguments"])
        assert bool(entry["options_file"]) == bool(entry["options_variables"])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_rngd(family: str) -> None:
    assert read(f"vars/{family}.yml")["__rng_daemon_table"]["rngd"]["package"]


def test_every_table_belongs_to_a_family_that_is_named() -> None:
    families = read("vars/main.yml")["__rng_daemon_families"]
    assert set(families.values()) == set(FAMILIES) == {path.stem for path in ROLE.glob("vars/[A-Z]*.yml")}
    assert all(re.fullmatch("[a-z0-9._-]+", identifier) for identifier in families)


def test_services_are_those_that_the_audit_knows() -> None:
    services = read("vars/main.yml")["__rng_daemon_services"]
    assert {name: set(names) for name, names in services.items()} == {name: set(PROBED[name][1]) for name in DAEMONS}


def test_policies_are_those_of_the_decision() -> None:
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert options["rng_daemon_policy"]["choices"] == list(POLICIES)
    assert set(options["rng_daemon_options"]["options"]) == set(DAEMONS)


def test_defaults_are_those_of_the_documentation() -> None:
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert read("defaults/main.yml") == {name: option["default"] for name, option in options.items()}
