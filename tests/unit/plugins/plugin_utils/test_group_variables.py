# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The own variables of groups, as Ansible itself reads them from an inventory on disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import InventoryGroup
from ansible_collections.fleet.rng.plugins.plugin_utils.group_variables import inventory_groups

INVENTORY = """
[hypervisors]
hv1

[gold]
g1
both

[silver]
s1

[prod:children]
gold
silver

[silver:vars]
rng_broker_rate=7
rng_broker_priority=1
other=5

[site:children]
gold
hypervisors

[guests:children]
prod

[unrelated]
desktop

[later]
"""
Written = dict[str, str]


def read(tmp_path: Path, files: Written, *, beside_playbook: bool = True) -> dict[str, InventoryGroup]:
    for name, text in {"inventory/hosts.ini": INVENTORY, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    loader = DataLoader()
    (tmp_path / "playbooks").mkdir(exist_ok=True)
    loader.set_basedir(str(tmp_path / "playbooks"))
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "inventory" / "hosts.ini")])
    guests = [host.name for host in inventory.groups["guests"].get_hosts()]
    return inventory_groups(inventory, loader, guests, ["hv1", "both"], beside_playbook=beside_playbook)


def test_who_is_above_and_who_is_in_a_group(tmp_path: Path) -> None:
    found = read(tmp_path, {})
    assert found["gold"].ancestors == {"all", "prod", "guests", "site"}
    assert sorted(found["prod"].hosts) == ["both", "g1", "s1"]
    assert found["later"].hosts == []


def test_groups_that_hold_hypervisors_are_apart_and_unrelated_ones_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, {})
    assert {name: group.apart for name, group in found.items() if group.apart} == dict.fromkeys(
        ["all", "hypervisors", "site"], "hv1"
    )
    assert not found["gold"].apart, "a guest that is a hypervisor, too, is a guest"
    assert "unrelated" not in found


def test_only_what_a_group_sets_itself_and_only_what_is_needed(tmp_path: Path) -> None:
    files = {
        "inventory/group_vars/prod.yml": "rng_broker_rate: 100\nsecret: x\n",
        "inventory/group_vars/gold/main.yml": 'rng_broker_ceil: "{{ 5 }}"\nvirtio_rng_source: broker\n',
        "inventory/group_vars/gold/more.yml": "rng_broker_burst: 300\n",
    }
    found = read(tmp_path, files)
    assert found["prod"].variables == {"rate": 100}
    assert found["gold"].variables == {"ceil": "{{ 5 }}", "source": "broker", "burst": 300}
    assert found["silver"].variables == {"rate": 7, "priority": 1}
    assert found["guests"].variables == {}


def test_the_strongest_come_last_as_with_ansible(tmp_path: Path) -> None:
    files = {
        "inventory/group_vars/silver.yml": "rng_broker_rate: 8\nrng_broker_ceil: 80\n",
        "playbooks/group_vars/silver.yml": "rng_broker_rate: 9\n",
    }
    assert read(tmp_path, files)["silver"].variables == {"rate": 9, "ceil": 80, "priority": 1}
    assert read(tmp_path, files, beside_playbook=False)["silver"].variables == {"rate": 8, "ceil": 80, "priority": 1}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken", "a: [", "."),
        ("no-mapping", "- 5", "."),
        ("vaulted", "", "[Dd]ecrypt|[Vv]ault"),
    ],
)
def test_a_group_that_cannot_be_read_has_a_problem_and_the_others_are_read(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    if name == "vaulted":
        text = VaultLib().encrypt("rng_broker_rate: 5", VaultSecret(b"password")).decode()
    found = read(
        tmp_path, {"inventory/group_vars/gold.yml": text, "inventory/group_vars/prod.yml": "rng_broker_rate: 1"}
    )
    assert found["gold"].variables == {}
    assert re.search(words, found["gold"].problem)
    assert len(found["gold"].problem) <= 300
    assert (found["prod"].variables, found["prod"].problem) == ({"rate": 1}, "")
