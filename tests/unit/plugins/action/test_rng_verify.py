# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of rng_verify, with Ansible's own inventory, variables and templates but without a run of a playbook."""

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
from ansible_collections.fleet.rng.plugins.action.rng_verify import ARGUMENT_SPEC, ActionModule
from ansible_collections.fleet.rng.plugins.modules import rng_verify as twin
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import CHECKS
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import VERDICTS

INVENTORY = """
[hypervisors]
hv1
hv2 virtio_rng_exclusive="{{ not yes_please }}" yes_please=true

[guests]
web1
web2
"""
DEVICE = {"source": "/dev/urandom", "max_bytes": 1024, "period": 1000, "model": "virtio", "driver": {}}
OTHER = {**DEVICE, "source": "builtin", "alias": "rng0"}
RNG = {"current": "virtio_rng.0", "available": ["virtio_rng.0"], "virtio_rng": "loaded"}
Runner = Callable[..., dict[str, Any]]


def plan(host: str, name: str) -> dict[str, Any]:
    entry = {"guest": name, "inventory": name, "state": "present", "wanted": DEVICE, "from": {}, "obstacles": []}
    entry.update(config="unchanged", live="unchanged", reason="in sync")
    return {"plan": {"hosts": {host: {"guests": [entry], "total": 1, "error": None}}}}


def observation(name: str, view: dict[str, Any] | None = None) -> dict[str, Any]:
    devices = [{**DEVICE, "alias": "ua-fleet-rng"}]
    guest = {
        "name": name,
        "uuid": "",
        "running": True,
        "config": devices,
        "live": [*devices, OTHER],
        "guest_view": view,
    }
    return {"host": {"hypervisor": {"kind": "libvirt"}}, "guests": [guest]}


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Run the action as a task of a play over the hypervisors would, on the first of them."""

    def run(
        args: dict[str, Any], prefix: str = "virtio_rng_", inventory: str = INVENTORY, **play_vars: Any
    ) -> dict[str, Any]:
        (tmp_path / "inventory").write_text(inventory, encoding="utf-8")
        loader = DataLoader()
        hosts = InventoryManager(loader=loader, sources=[str(tmp_path / "inventory")])
        manager = VariableManager(loader=loader, inventory=hosts)
        hostvars = HostVars(hosts, manager, loader)
        for host, name in [("hv1", "web1"), ("hv2", "web2")]:
            registered = {"plan": plan(host, name), "observation": observation(name), "proof": observation(name)}
            manager.set_nonpersistent_facts(host, {prefix + key: value for key, value in registered.items()})
            manager.set_nonpersistent_facts(name, {prefix + "inside": {"rng": RNG}})
        tasks = [{"action": "ansible.builtin.debug"}]
        data = {"name": "verify", "hosts": "all", "gather_facts": False, "vars": play_vars, "tasks": tasks}
        play = Play.load(data, variable_manager=manager, loader=loader)
        task = play.tasks[0].block[0]
        task.args = args
        variables = manager.get_vars(play=play, host=hosts.get_host("hv1"), task=task)
        variables["ansible_play_batch"] = ["hv1", "hv2"]
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


def test_the_verification_has_the_documented_keys(run: Runner) -> None:
    documented = yaml.safe_load(twin.RETURN)["verification"]
    verification = run({})["verification"]
    assert set(verification) == set(documented["contains"]) == set(documented["sample"])
    about, sample = documented["contains"]["hosts"]["contains"], documented["sample"]["hosts"]["hv1"]
    assert set(verification["hosts"]["hv1"]) == set(about) == set(sample)
    (guest,), (shown,) = verification["hosts"]["hv1"]["guests"], sample["guests"]
    assert set(guest) == set(about["guests"]["contains"]) == set(shown)
    assert set(guest["checks"]) == set(CHECKS) == set(shown["checks"])
    assert all(f"C({name})" in " ".join(about["guests"]["contains"]["checks"]["description"]) for name in CHECKS)
    findings = about["guests"]["contains"]["findings"]["contains"]
    assert set(guest["findings"][0]) == set(findings) == set(shown["findings"][0])
    assert set(verification["counts"]) == set(VERDICTS) == set(documented["sample"]["counts"])


def test_the_variables_of_each_hypervisor_are_its_own(run: Runner) -> None:
    result = run({})
    assert result["changed"] is False
    hosts = result["verification"]["hosts"]
    assert [finding["id"] for finding in hosts["hv1"]["guests"][0]["findings"]] == ["RNG107"]
    assert hosts["hv2"]["guests"][0]["verdict"] == "verified"


def test_options_win_over_variables(run: Runner) -> None:
    assert run({"exclusive": False})["verification"]["counts"]["verified"] == 2
    assert run({"exclusive": True})["verification"]["counts"]["failed"] == 2


def test_variables_of_the_play_count(run: Runner) -> None:
    strict = {"virtio_rng_verify_strict": "yes", "virtio_rng_exclusive": False}
    hosts = run({"inside": "nothing"}, **strict)["verification"]["hosts"]
    assert hosts["hv1"]["failure"].startswith("1 of 1 guests not verified: web1: unproven: ")
    assert run({"inside": "nothing", "strict": False}, **strict)["verification"]["hosts"]["hv1"]["failure"] is None


@pytest.mark.parametrize("value", ["perhaps", ["x"]])
def test_a_bad_variable_is_the_error_of_its_hypervisor(run: Runner, value: object) -> None:
    error = run({}, virtio_rng_verify_strict=value)["verification"]["hosts"]["hv1"]["error"]
    assert error.startswith("hypervisor hv1: virtio_rng_verify_strict: ")


def test_a_template_that_fails_is_the_error_of_its_hypervisor(run: Runner) -> None:
    inventory = INVENTORY.replace("yes_please=true", "")
    error = run({}, inventory=inventory)["verification"]["hosts"]["hv2"]["error"]
    assert error.startswith("hypervisor hv2: virtio_rng_exclusive: its template failed: ")


def test_other_names_of_the_variables(run: Runner) -> None:
    names = {key: "mine_" + key for key in ("plan", "observation", "proof", "inside")}
    assert run({**names, "exclusive": False}, "mine_")["verification"]["counts"]["verified"] == 2
    assert run({"hosts": ["hv2"], **names}, "mine_")["verification"]["total"] == 1
    assert run({}, "mine_")["verification"]["hosts"]["hv1"]["error"].startswith("not planned")


def test_guests_outside_the_group_are_not_asked(run: Runner) -> None:
    assert run({"guests": "nobody", "exclusive": False})["verification"]["counts"]["unproven"] == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [({"host": ["hv1"]}, "Unsupported parameters"), ({"hosts": ["hv1", "h\nv"]}, r"not in the inventory: h\x0av")],
)
def test_wrong_options_fail_the_task(run: Runner, args: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleActionFail) as caught:
        run(args)
    assert words in str(caught.value)
