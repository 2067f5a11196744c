# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of rng_plan, with Ansible's own inventory, variables and templates but without a run of a playbook."""

from __future__ import annotations

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
from ansible_collections.fleet.rng.plugins.action.rng_plan import ARGUMENT_SPEC, ActionModule
from ansible_collections.fleet.rng.plugins.modules import rng_plan as twin
from ansible_collections.fleet.rng.plugins.plugin_utils import inventory_variables

INVENTORY = """
[hypervisors]
hv1 virtio_rng_period=500
hv2

[elsewhere]
hv3
hv4

[guests]
web1 virtio_rng_max_bytes="{{ 2 * size }}" size=32
web2 virtio_rng_max_bytes="{{ no_such_variable }}"
"""
Runner = Callable[..., dict[str, Any]]


def observation(*names: str) -> dict[str, Any]:
    guests = [{"name": name, "config": [], "live": None} for name in names]
    return {"host": {"hypervisor": {"kind": "libvirt"}}, "guests": guests}


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Run the action as a task of a play over the hypervisors would, on the first of them."""

    def run(
        args: dict[str, Any], play_vars: dict[str, Any] | None = None, inventory: str = INVENTORY
    ) -> dict[str, Any]:
        (tmp_path / "inventory").write_text(inventory, encoding="utf-8")
        loader = DataLoader()
        hosts = InventoryManager(loader=loader, sources=[str(tmp_path / "inventory")])
        manager = VariableManager(loader=loader, inventory=hosts)
        hostvars = HostVars(hosts, manager, loader)
        manager.set_nonpersistent_facts("hv1", {"virtio_rng_observation": observation("web1", "{{7*7}}")})
        manager.set_nonpersistent_facts("hv2", {"virtio_rng_observation": observation("web2", "db1")})
        tasks = [{"action": "ansible.builtin.debug"}]
        data = {"name": "plan", "hosts": "all", "gather_facts": False, "vars": play_vars or {}, "tasks": tasks}
        play = Play.load(data, variable_manager=manager, loader=loader)
        task = play.tasks[0].block[0]
        task.args = args
        variables = manager.get_vars(play=play, host=hosts.get_host("hv1"), task=task)
        variables["ansible_play_batch"] = [name for name in ("hv1", "hv2", "hv3") if hosts.get_host(name)]
        manager.set_nonpersistent_facts("hv3", {"virtio_rng_observation": {"unreachable": True, "msg": "no route"}})
        variables.setdefault("hostvars", hostvars)
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


def test_the_plan_has_the_documented_keys(run: Runner) -> None:
    documented = yaml.safe_load(twin.RETURN)["plan"]
    plan = run({})["plan"]
    assert set(plan) == set(documented["contains"]) == set(documented["sample"])
    for about in (documented["contains"]["hosts"]["contains"], documented["sample"]["hosts"]["hv1"]):
        assert set(plan["hosts"]["hv1"]) == set(about)
    for part in ("devices", "guests"):
        about = documented["contains"]["hosts"]["contains"][part]["contains"]
        assert set(plan["hosts"]["hv1"][part][0]) == set(about) == set(documented["sample"]["hosts"]["hv1"][part][0])


def test_the_default_is_the_batch_and_everything(run: Runner) -> None:
    result = run({})
    assert result["changed"] is False
    assert list(result["plan"]["hosts"]) == ["hv1", "hv2", "hv3"]
    assert [guest["wanted"]["period"] for guest in result["plan"]["hosts"]["hv1"]["guests"]] == [500, 500]
    assert result["plan"]["warnings"] == []


def test_variables_are_templated_for_their_host_and_names_are_not(run: Runner) -> None:
    devices = run({})["plan"]["hosts"]["hv1"]["devices"]
    assert {device["guest"]: device["max_bytes"] for device in devices} == {"web1": 64, "{{7*7}}": 1024}


def test_a_template_that_fails_refuses_its_guest_only(run: Runner) -> None:
    host = run({})["plan"]["hosts"]["hv2"]
    assert [device["guest"] for device in host["devices"]] == ["db1"]
    assert [item["guest"] for item in host["refused"]] == ["web2"]
    assert host["refused"][0]["reason"].startswith("guest web2: virtio_rng_max_bytes: its template failed: ")


def test_variables_of_the_play_count_as_the_hypervisors(run: Runner) -> None:
    hosts = run({}, {"virtio_rng_period": 250, "virtio_rng_max_bytes": 42})["plan"]["hosts"]
    assert {device["guest"]: device["max_bytes"] for device in hosts["hv1"]["devices"]} == {"web1": 64, "{{7*7}}": 42}
    assert [device["period"] for device in hosts["hv1"]["devices"] + hosts["hv2"]["devices"]] == [250, 250, 250]


def test_migration_groups_reach_beyond_the_group_of_hypervisors(run: Runner) -> None:
    named = 'virtio_rng_migration_groups="{{ [where] }}" where=movable virtio_rng_source=/dev/hwrng'
    inventory = f"[hypervisors]\nhv1 {named}\n[movable]\nhv1\nhv2\nhv4\n"
    plan = run({"hosts": ["hv1"]}, inventory=inventory)["plan"]
    assert [item["reason"].split(" was not")[0] for item in plan["hosts"]["hv1"]["refused"]] == [
        f"guest {name} may move to hv2 (virtio_rng_migration_groups: movable), where source /dev/hwrng"
        for name in ("web1", "{{7*7}}")
    ]
    (unseen,) = [line for line in plan["warnings"] if line.startswith("migration group movable: not observed")]
    assert unseen.endswith(": hv4")


def test_other_names(run: Runner) -> None:
    inventory = (
        "[kvm]\nhv1\nhv2\n[vms]\nother virtio_rng_period=9 vm_uuid=4dea22b3-1d52-d8f3-2516-782e98ab3fa0\n"
        "web1 virtio_rng_period=8\n"
    )
    args = {"hosts": ["hv2"], "hypervisors": "kvm", "guests": "vms", "uuid_variable": "vm_uuid", "explain": "changes"}
    plan = run(args, inventory=inventory)["plan"]
    assert list(plan["hosts"]) == ["hv2"]
    assert [item["inventory"] for item in plan["unknown_guests"]] == ["other"]
    found = run({"observation": "other_name"})["plan"]["hosts"]
    assert {host["error"] for host in found.values()} == {"not observed"}


def test_without_the_groups(run: Runner) -> None:
    plan = run({}, inventory="hv1\nhv2\n")["plan"]
    assert plan["warnings"] == ["the inventory has no group guests: the hypervisors' variables hold for all guests"]
    assert plan["unknown_guests"] == []
    assert len(plan["hosts"]["hv2"]["devices"]) == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"explain": "nothing"}, "value of explain must be one of: all, changes"),
        ({"live": "perhaps"}, "live"),
        ({"host": ["hv1"]}, "host"),
        ({"hosts": ["hv1", "hv\x1b9"]}, r"hosts: not in the inventory: hv\\x1b9"),
    ],
)
def test_wrong_options_are_named(run: Runner, args: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        run(args)


def test_a_variable_that_is_misspelt_is_a_warning(run: Runner) -> None:
    inventory = (
        "[hypervisors]\nhv1 virtio_rng_host_bugdet=5\nhv2\n"
        "[guests]\nweb1 virtio_rng_maxbytes=64\nweb2 virtio_rng_maxbytes=64 virtio_rng_weight=2"
    )
    assert run({}, inventory=inventory)["plan"]["warnings"] == [
        "virtio_rng_host_bugdet is no variable of this collection (hv1); did you mean virtio_rng_host_budget?",
        "virtio_rng_maxbytes is no variable of this collection (web1, web2); did you mean virtio_rng_max_bytes?",
    ]


def test_a_host_that_could_not_be_observed_is_in_the_plan(run: Runner) -> None:
    host = run({})["plan"]["hosts"]["hv3"]
    assert (host["error"], host["failure"], host["devices"]) == ("not observed: no route", "not observed: no route", [])


def test_policies_are_named_after_groups_of_guests_when_asked_for(run: Runner) -> None:
    assert run({})["plan"]["hosts"]["hv1"]["policies"] == []
    inventory = "[hypervisors]\nhv1\nhv2\n[web]\nweb1 virtio_rng_max_bytes=32\n[guests:children]\nweb"
    named = run({"policies": True}, inventory=inventory)["plan"]["hosts"]["hv1"]["policies"]
    assert {entry["name"]: entry["device"]["max_bytes"] for entry in named} == {
        "default": 1024,
        "guests": 32,
        "web": 32,
    }


def test_a_measured_budget_reads_the_tests_of_each_hypervisor(run: Runner) -> None:
    inventory = (
        "[hypervisors]\nhv1 virtio_rng_host_budget=measured virtio_rng_max_bytes=unlimited\n"
        "hv2 virtio_rng_host_budget=measured\n[guests]\n"
    )
    tested = {"source": "/dev/urandom", "status": "good", "why": "", "bytes_per_second": 4096.0}
    hosts = run({"source_tests": "seen"}, {"seen": {"sources": [tested]}}, inventory)["plan"]["hosts"]
    assert (hosts["hv1"]["error"], hosts["hv1"]["budget"]["bytes_per_second"]) == (None, 2048)
    hosts = run({}, None, inventory)["plan"]["hosts"]
    assert [hosts[name]["untested"] for name in ("hv1", "hv2")] == [["/dev/urandom"]] * 2


BROKEN = """
[hypervisors]
hv1 virtio_rng_source=broker
hv2 virtio_rng_source=broker:extra rng_broker_classes="{{ {name: {'rate': 5}} }}" name=extra rng_broker_rtae=5
[gold]
web1
web2 virtio_rng_source=broker
[silver]
web2
[gold:vars]
rng_broker_rate="{{ no_such_variable }}"
[silver:vars]
rng_broker_priority=1
[guests:children]
gold
silver
"""


def test_sources_of_the_broker(run: Runner) -> None:
    plan = run({"policies": True}, inventory=BROKEN)["plan"]
    hosts = plan["hosts"]
    gold, stranger = hosts["hv1"]["guests"]
    assert gold["wanted"]["source"] == "egd+unix:/run/virtrngd/gold.sock"
    assert gold["from"]["source"] == "hypervisor hv1: virtio_rng_source, class gold of its group"
    assert stranger["wanted"]["source"] == "egd+unix:/run/virtrngd/default.sock"
    assert [one["name"] for one in hosts["hv1"]["policies"]] == ["default"]
    (refused,) = hosts["hv2"]["refused"]
    assert refused["reason"] == (
        "guest web2: virtio_rng_source: broker: it is in 2 groups that are classes of the broker, gold, silver; "
        "name the one that is meant, as in broker:gold"
    )
    assert [device["source"] for device in hosts["hv2"]["devices"]] == ["egd+unix:/run/virtrngd/extra.sock"]
    assert plan["warnings"] == [
        "rng_broker_rtae is no variable of this collection (hv2); did you mean rng_broker_rate?"
    ]


def test_where_nobody_asks_for_a_broker_no_group_is_read(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: Any, **options: Any) -> None:
        raise AssertionError(args, options)

    monkeypatch.setattr(inventory_variables, "inventory_groups", nobody)
    assert len(run({"policies": True})["plan"]["hosts"]["hv1"]["devices"]) == 2
    with pytest.raises(AssertionError):
        run({}, inventory=BROKEN)
