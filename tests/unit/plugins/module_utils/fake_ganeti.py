# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ganeti master in the place of the real one: its answers, and what its command makes of the instances."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import ganeti as backend
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError

NODE = "node1.example.org"


class FakeMaster:
    """The interface of transport.ganeti.Master. ``writes`` has every call that is not a question."""

    def __init__(self, version: str = "3.0.2") -> None:
        self.version = version
        self.cluster_parameters: dict[str, Any] = {"kvm_extra": "", "machine_version": ""}
        self.of_os: dict[str, Any] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, Any]] = []
        self.jobs: dict[int, list[Any]] = {}
        self.before_modify: Callable[[], None] | None = None
        self.job: Callable[[int], Any] = lambda number: [self.jobs[number]]
        self.read_only = False
        self.moving: list[str] = []

    def add(self, name: str, extra: str | None = None, **values: Any) -> dict[str, Any]:
        number = len(self.rows) + 1
        row = {
            "name": name,
            "uuid": f"00000000-0000-0000-0000-{number:012}",
            "oper_state": False,
            "pnode": NODE,
            "hypervisor": "kvm",
            "os": "noop+default",
            "custom_hvparams": {} if extra is None else {"kvm_extra": extra},
            **values,
        }
        self.rows[name] = row
        return row

    def own(self, name: str) -> dict[str, Any]:
        """The parameters that an instance has values of its own for."""
        found: dict[str, Any] = self.rows[name]["custom_hvparams"]
        return found

    def cluster(self) -> Any:
        return {
            "software_version": self.version,
            "master": NODE,
            "architecture": ["64bits", "x86_64"],
            "hvparams": {"kvm": copy.deepcopy(self.cluster_parameters), "xen-pvm": {}},
            "os_hvp": copy.deepcopy(self.of_os),
        }

    def instances(self, fields: Sequence[str], uuid: str = "") -> Any:
        rows = [row for row in self.rows.values() if uuid in ("", row["uuid"])]
        return {"fields": [], "data": [[self._field(row, field) for field in fields] for row in rows]}

    def _field(self, row: dict[str, Any], field: str) -> list[Any]:
        if field == "hvparams":
            of_os = self.of_os.get(row["os"], {}).get("kvm", {})
            return [0, {**self.cluster_parameters, **of_os, **row["custom_hvparams"]}]
        value = copy.deepcopy(row.get(field))
        return [2, None] if value is None else [0, value]

    def modify(self, name: str, parameters: str) -> str:
        assert not self.read_only, "a writing call"
        if self.before_modify is not None:
            self.before_modify()
        self.writes.append((name, parameters))
        own = self.own(name)
        for part in unescape(parameters):
            parameter, dummy, value = part.partition("=")
            if parameter not in self.cluster_parameters:
                raise GuestError(f"gnt-instance: Unknown parameter '{parameter}'")
            if value == "default":
                own.pop(parameter, None)
            else:
                own[parameter] = value
        return self._submitted()

    def _submitted(self) -> str:
        self.jobs[len(self.jobs) + 1] = ["success", [[]]]
        return f"\nJobID: {len(self.jobs)}\n"

    def reboot(self, name: str, seconds: int) -> str:
        assert not self.read_only, "a writing call"
        self.writes.append(("reboot", f"{name} {seconds}"))
        return self._submitted()

    def start(self, name: str) -> str:
        assert not self.read_only, "a writing call"
        self.writes.append(("start", name))
        self.rows[name]["oper_state"] = True
        return self._submitted()

    def unfinished(self) -> Any:
        return {"fields": [], "data": [[[0, [summary]]] for summary in self.moving]}

    def cancel(self, number: int) -> Any:
        self.writes.append(("cancel", number))
        return [True, f"Job {number} has been cancelled"]


def unescape(text: str) -> list[str]:
    """What Ganeti makes of an option's value, said in another way than it does."""
    parts, at = [""], 0
    while at < len(text):
        if text[at] == ",":
            parts.append("")
        else:
            at += text[at] == "\\"
            parts[-1] += text[at]
        at += 1
    return parts


def runs_with(monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], extra: str) -> None:
    """Let the instance run here, with these words beside others on the command line of its QEMU."""
    row["oper_state"] = True
    monkeypatch.setattr(backend, "qemu_processes", lambda: {row["uuid"]: 77})
    words = ["/usr/bin/qemu-system-x86_64", "-name", "vm1", *extra.split(" "), "-device", "virtio-net-pci,id=nic"]
    monkeypatch.setattr(backend, "command_line", lambda pid: words if pid == 77 else [])


def outcome(result: dict[str, Any]) -> tuple[Any, ...]:
    """What became of the only guest of a module run."""
    (guest,) = result["guests"]
    return guest["changed"], guest["config"], guest["live"], guest["error"]
