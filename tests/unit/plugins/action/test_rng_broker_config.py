# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of rng_broker_config, with Ansible's own inventory, variables and templates, without a playbook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play import Play
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.fleet.rng.plugins.action.rng_broker_config import ARGUMENT_SPEC, ActionModule
from ansible_collections.fleet.rng.plugins.modules import rng_broker_config as twin

INVENTORY = """
[hypervisors]
hv1 share=1024 rng_broker_host_rate=8192
hv2

[gold]
web1
web2 virtio_rng_source=/dev/urandom
[gold:vars]
rng_broker_rate="{{ 3 * share }}"
virtio_rng_source=broker

[guests:children]
gold
"""
Runner = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Run the action as a task on one host would."""

    def run(
        args: dict[str, Any], host: str = "hv1", play_vars: dict[str, Any] | None = None, inventory: str = INVENTORY
    ) -> dict[str, Any]:
        (tmp_path / "inventory").write_text(inventory, encoding="utf-8")
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        hosts = InventoryManager(loader=loader, sources=[str(tmp_path / "inventory")])
        manager = VariableManager(loader=loader, inventory=hosts)
        tasks = [{"action": "ansible.builtin.debug"}]
        data = {"name": "broker", "hosts": "all", "gather_facts": False, "vars": play_vars or {}, "tasks": tasks}
        play = Play.load(data, variable_manager=manager, loader=loader)
        task = play.tasks[0].block[0]
        task.args = args
        variables = manager.get_vars(play=play, host=hosts.get_host(host), task=task)
        variables["hostvars"] = HostVars(hosts, manager, loader)
        templar = Templar(loader=loader, variables=variables)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=str(tmp_path)))
        result: dict[str, Any] = ActionModule(task, connection, None, loader, templar, None).run(task_vars=variables)
        return result

    return run


def test_the_options_are_those_of_the_documentation() -> None:
    documented = yaml.safe_load(twin.DOCUMENTATION)["options"]
    keys = ("type", "elements", "default", "choices", "required")
    told = {name: {key: option[key] for key in keys if key in option} for name, option in documented.items()}
    assert told == ARGUMENT_SPEC


def test_the_result_has_the_documented_keys(run: Runner) -> None:
    documented = yaml.safe_load(twin.RETURN)
    result = run({})
    assert result["changed"] is False
    assert set(result) - {"changed"} == set(documented)
    for row in (result["classes"][0], *documented["classes"]["sample"]):
        assert set(row) == set(documented["classes"]["contains"])


def test_group_variables_are_templated_with_those_of_the_hypervisor(run: Runner) -> None:
    result = run({"sources": ["/dev/hwrng", "getrandom"], "socket_group": "kvm"})
    assert {row["name"]: (row["rate"], row["guests"]) for row in result["classes"]} == {
        "default": (64, 0),
        "gold": (3072, 1),
    }
    assert (result["config"]["rate"], result["config"]["socket_group"]) == (8192, "kvm")
    assert json.loads(result["text"]) == result["config"]
    assert run({}, "hv1", {"share": 100})["config"]["classes"][1]["rate"] == 300


def test_a_template_that_fails_names_the_group_and_the_variable(run: Runner) -> None:
    result = run({}, "hv2")
    assert result["failed"] is True
    assert result["msg"].startswith("group gold: rng_broker_rate: its template failed: ")
    assert "share" in result["msg"]
    assert "config" not in result


def test_variables_of_the_play_count_as_the_hypervisors(run: Runner) -> None:
    play_vars = {"share": 1, "rng_broker_classes": {"gold": {"rate": 999}}, "rng_broker_host_rate": "unlimited"}
    result = run({}, "hv2", play_vars)
    assert (result["config"]["rate"], result["config"]["classes"][1]["rate"]) == ("unlimited", 999)


def test_other_groups(run: Runner) -> None:
    inventory = "[kvm]\nhv1\n[kvm:vars]\nrng_broker_rate=5\n[vms]\nvm1 virtio_rng_source=broker\n"
    result = run({"hypervisors": "kvm", "guests": "vms"}, inventory=inventory)
    assert result["msg"].startswith("group kvm: rng_broker_rate: it holds the hypervisor hv1")
    inventory = inventory.replace("[kvm:vars]\nrng_broker_rate=5\n", "")
    assert run({"hypervisors": "kvm", "guests": "vms"}, inventory=inventory)["classes"][0]["guests"] == 1
    assert run({"hypervisors": "kvm"}, inventory=inventory)["classes"][0]["guests"] == 0


def test_what_the_daemon_would_not_take(run: Runner) -> None:
    result = run({"sources": ["hwrng"]})
    assert result["msg"].startswith("hypervisor hv1: the broker's configuration: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"when_failing": "panic"}, "value of when_failing must be one of"),
        ({"rate": 5}, "rate"),
        ({"clients": "x"}, "clients"),
    ],
)
def test_wrong_options_are_named(run: Runner, args: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        run(args)
