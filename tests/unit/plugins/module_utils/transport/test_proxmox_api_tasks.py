# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes long over the API: a task that is begun, and looked at until it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, RngError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport import proxmox_api
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox import RefusedError
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox_api import Api
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import ApiMaker, Node, access_to


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxmox_api, "_POLL_SECONDS", 0.01)


STATUS = "/nodes/pve1/qemu/101/status"


@pytest.mark.usefixtures("quick")
def test_the_end_of_a_task_is_waited_for(api: ApiMaker, node: Node) -> None:
    api().task(f"{STATUS}/shutdown", 5, timeout="5", forceStop="0")
    assert not (node.root / "run/qemu-server/101.pid").exists()
    assert [call[0] for call in node.calls()] == ["create", "get", "get"]
    assert node.calls()[1][1].startswith("/nodes/pve1/tasks/UPID:pve1:")


@pytest.mark.usefixtures("quick")
def test_a_task_that_fails(api: ApiMaker, node: Node) -> None:
    node.site(faults={"stubborn": [101]})
    with pytest.raises(RefusedError) as caught:
        api().task(f"{STATUS}/shutdown", 5, timeout="5", forceStop="0")
    assert caught.value.said == "VM quit/powerdown failed - got timeout"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answers", "kind", "message"),
    [
        (["no task"], HypervisorError, r"^POST /nodes/pve1/x: the answer names no task: 'no task'$"),
        ([None], HypervisorError, r"the answer names no task: None$"),
        (["UPID:a", {"status": "running"}], TimedOutError, r"^a task of Proxmox VE did not end within 0 seconds$"),
        (["UPID:a", None], TimedOutError, r"^a task of Proxmox VE did not end"),
        (["UPID:a", {"status": "stopped"}], RefusedError, r"it does not say how it ended$"),
    ],
)
def test_tasks_that_say_something_else(
    answers: list[Any], kind: type[RngError], message: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Api(access_to(8006, certificates))
    found.seconds = 0
    monkeypatch.setattr(found, "_call", lambda method, path, given: answers[method == "GET"])
    with pytest.raises(kind, match=message):
        found.task("/nodes/pve1/x", 0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("lost", [HypervisorError("lost"), TimedOutError("late")])
def test_a_look_that_is_lost_does_not_end_the_task(
    lost: Exception, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Api(access_to(8006, certificates))
    answers: list[Any] = ["UPID:a", lost, lost, {"status": "stopped", "exitstatus": "OK"}]

    def call(*dummy: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(found, "_call", call)
    found.task("/nodes/pve1/x", 0)
    assert answers == []
    answers, found.seconds = ["UPID:a", lost], 0
    with pytest.raises(TimedOutError, match=rf"^a task of Proxmox VE did not end within 0 seconds: {lost}$"):
        found.task("/nodes/pve1/x", 0)


@pytest.mark.usefixtures("quick")
def test_warnings_of_a_task_are_no_failure(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Api(access_to(8006, certificates))
    ended = {"status": "stopped", "exitstatus": "WARNINGS: 1"}
    paths: list[str] = []

    def call(method: str, path: str, dummy: Any) -> Any:
        paths.append(path)
        return ended if method == "GET" else "UPID:pve1:a:root@pam!x:"

    monkeypatch.setattr(found, "_call", call)
    found.task("/nodes/pve1/x", 0)
    assert paths[1] == "/nodes/pve1/tasks/UPID%3Apve1%3Aa%3Aroot%40pam%21x%3A/status"
