# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One module, the right one, as an ordinary user where that is enough; and one command before it where it is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.action import rng_observe
from ansible_collections.fleet.rng.plugins.module_utils import host_kind
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC
from ansible_collections.fleet.rng.plugins.modules import rng_observe as twin


class Connection:
    """Notes with which rights something was run."""

    def __init__(self) -> None:
        self._shell = SimpleNamespace(tmpdir="/nowhere")
        self.become: Any = "sudo"
        self.ran: list[tuple[Any, ...]] = []

    def set_become_plugin(self, plugin: Any) -> None:
        self.become = plugin


def run(
    connection: Connection, *answers: str, defaults: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    """The result of the last attempt: there is one for each answer that the host gives."""
    task = MagicMock(args=options, async_val=0, check_mode=False, environment=None)
    action = rng_observe.ActionModule(task, connection, MagicMock(), MagicMock(), MagicMock(), MagicMock())

    outputs = list(answers or [""])

    def command(text: str) -> dict[str, Any]:
        connection.ran.append(("command", connection.become))
        assert text == host_kind.COMMAND
        return {"rc": 0, "stdout": outputs.pop(0), "stderr": ""}

    def module(module_name: str, module_args: dict[str, Any], **dummy: Any) -> dict[str, Any]:
        connection.ran.append((module_name, connection.become, module_args))
        return {"changed": False, "guests": []}

    action._low_level_execute_command = command
    action._execute_module = module
    with patch.object(rng_observe, "with_defaults", lambda module, given, *dummy: {**(defaults or {}), **given}):
        for dummy in answers or [""]:
            result: dict[str, Any] = action.run(task_vars={})
            assert connection.become == "sudo", "as it was before"
    return result


def test_a_kind_that_is_given_is_not_asked_for() -> None:
    connection = Connection()
    result = run(connection, kind="libvirt", options={"libvirt": {"uri": "test:///default"}})
    assert connection.ran == [("fleet.rng.libvirt_rng_info", None, {"uri": "test:///default"})]
    assert result["guests"] == []
    assert "failed" not in result


def test_a_kind_that_is_not_given_is_asked_for_with_one_command() -> None:
    connection = Connection()
    run(connection, "fleet-rng-kinds\nruns libvirt\nend\n")
    assert [ran[:2] for ran in connection.ran] == [("command", None), ("fleet.rng.libvirt_rng_info", None)]


@pytest.mark.parametrize(
    ("kind", "options"), [("proxmox", {}), ("libvirt", {"sources": ["/dev/hwrng"]}), ("libvirt", {"guest_view": True})]
)
def test_root_only_where_it_is_needed(kind: str, options: dict[str, Any]) -> None:
    connection = Connection()
    run(connection, f"fleet-rng-kinds\nruns {kind}\nend\n", **options)
    assert [ran[:2] for ran in connection.ran] == [("command", None), (f"fleet.rng.{kind}_rng_info", "sudo")]


def test_module_defaults_are_below_what_is_given_and_may_need_root() -> None:
    connection = Connection()
    defaults = {"timeout": 30, "guest_view": True, "uri": "test:///nowhere"}
    run(connection, defaults=defaults, kind="libvirt", options={"libvirt": {"uri": "test:///default"}}, timeout=20)
    arguments = {"timeout": 20, "guest_view": True, "uri": "test:///default"}
    assert connection.ran == [("fleet.rng.libvirt_rng_info", "sudo", arguments)]


@pytest.mark.parametrize("kind", ["auto", "proxmox"])
def test_an_api_is_asked_from_the_controller(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what runs on the host is asked for, nor become."""
    here: list[tuple[Any, ...]] = []

    def run_module(action: Any, *asked: Any) -> dict[str, Any]:
        here.append((action._connection.become, *asked))
        return {"changed": False, "guests": ["web1"]}

    monkeypatch.setattr(rng_observe.on_controller, "run_module", run_module)
    connection = Connection()
    result = run(connection, kind=kind, options={"proxmox": {"api_host": "pve1", "api_user": ""}}, host_view=True)
    assert connection.ran == []
    assert here == [(None, "fleet.rng.proxmox_rng_info", {"host_view": True, "api_host": "pve1"}, {})]
    assert result["guests"] == ["web1"]


def test_another_attempt_has_the_same_rights() -> None:
    """A task with retries runs the same action again, over the same connection."""
    connection = Connection()
    result = run(connection, "", "fleet-rng-kinds\nruns proxmox\nend\n")
    assert [ran[:2] for ran in connection.ran] == [
        ("command", None),
        ("command", None),
        ("fleet.rng.proxmox_rng_info", "sudo"),
    ]
    assert "failed" not in result


def test_several_kinds_are_an_error_and_nothing_runs() -> None:
    connection = Connection()
    result = run(connection, "fleet-rng-kinds\nruns libvirt\nruns ganeti\nend\n")
    assert result["failed"] is True
    assert result["msg"].startswith("several kinds of hypervisor are on this host: libvirt, ganeti")
    assert connection.ran == [("command", None)]


@pytest.mark.parametrize("options", [{"kind": "xen"}, {"bogus": 1}, {"timeout": "soon"}])
def test_the_argument_specification_is_enforced(options: dict[str, Any]) -> None:
    connection = Connection()
    result = run(connection, **options)
    assert result["failed"] is True
    assert next(iter(options)) in result["msg"]
    assert connection.ran == []


def test_the_options_are_those_of_the_documentation() -> None:
    documented = yaml.safe_load(twin.DOCUMENTATION)["options"]
    keys = ("type", "elements", "default", "choices", "required")
    assert {
        name: {key: option[key] for key in keys if key in option} for name, option in documented.items()
    } == rng_observe.ARGUMENT_SPEC


def test_what_is_not_given_is_as_if_it_were() -> None:
    for name, specification in VIEWS_SPEC.items():
        assert specification.get("default") == rng_observe.ARGUMENT_SPEC[name].get("default")
