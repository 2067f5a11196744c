# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One module, that of the kind, with the options that it knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.action import rng_converge
from ansible_collections.fleet.rng.plugins.module_utils.module.arguments import CONVERGE_SPEC
from ansible_collections.fleet.rng.plugins.modules import rng_converge as twin

DEVICES = [{"guest": "web1", "state": "absent"}]


def run(**options: Any) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    task = MagicMock(args=options, async_val=0, check_mode=False, environment=None)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    action = rng_converge.ActionModule(task, connection, MagicMock(), MagicMock(), MagicMock(), MagicMock())
    ran: list[tuple[str, dict[str, Any]]] = []

    def module(module_name: str, module_args: dict[str, Any], **dummy: Any) -> dict[str, Any]:
        ran.append((module_name, module_args))
        return {"changed": True, "guests": [], "msg": "said by the module", "failed": True}

    action._execute_module = module
    with patch.object(rng_converge, "with_defaults", lambda module, given, *dummy: {"exclusive": False, **given}):
        return action.run(task_vars={}), ran


def test_the_module_of_the_kind_and_its_answer() -> None:
    result, ran = run(kind="qemu", devices=DEVICES, wait=9, options={"libvirt": {"uri": "x"}, "qemu": {"sockets": []}})
    ((module, arguments),) = ran
    assert module == "fleet.rng.qemu_rng"
    assert arguments.pop("sockets") == []
    assert arguments == {"devices": DEVICES, "wait": 9, "exclusive": False}  # as module_defaults have it
    assert (result["msg"], result["failed"]) == ("said by the module", True)


def test_an_api_is_asked_from_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    here: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        rng_converge.on_controller, "run_module", lambda action, *asked: here.append(asked) or {"changed": True}
    )
    result, ran = run(kind="proxmox", devices=DEVICES, options={"proxmox": {"api_host": "pve1"}})
    assert ran == []
    assert here == [("fleet.rng.proxmox_rng", {"exclusive": False, "devices": DEVICES, "api_host": "pve1"}, {})]
    assert result == {"changed": True}


@pytest.mark.parametrize(
    "options",
    [{"kind": "auto", "devices": []}, {"devices": DEVICES}, {"kind": "qemu"}, {"kind": "qemu", "devices": 5, "a": 1}],
)
def test_the_argument_specification_is_enforced(options: dict[str, Any]) -> None:
    result, ran = run(**options)
    assert result["failed"] is True
    assert ran == []


def test_options_of_an_unknown_kind_are_refused() -> None:
    result, ran = run(kind="qemu", devices=DEVICES, options={"xen": {}})
    assert result["msg"].startswith("options: 'xen' is not valid")
    assert ran == []


def test_the_options_are_those_of_the_documentation_and_of_the_modules() -> None:
    documented = yaml.safe_load(twin.DOCUMENTATION)["options"]
    keys = ("type", "elements", "default", "choices", "required")
    assert {
        name: {key: option[key] for key in keys if key in option} for name, option in documented.items()
    } == rng_converge.ARGUMENT_SPEC
    assert set(rng_converge.ARGUMENT_SPEC) == {"kind", "options", *CONVERGE_SPEC}
    for name, specification in CONVERGE_SPEC.items():
        assert specification.get("default") == rng_converge.ARGUMENT_SPEC[name].get("default")
