# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observing runner: one read-only session, the host beside the guests, and errors that fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.module import info
from ansible_collections.fleet.rng.plugins.module_utils.observation import ObservedGuest


class OneGuest:
    """A backend that is its own session."""

    def __init__(self, error: str = "") -> None:
        self.error = error

    def session(self, readonly: bool = False) -> OneGuest:
        assert readonly
        if self.error:
            raise HypervisorError(self.error)
        return self

    def hypervisor(self, session: object) -> dict[str, Any]:
        assert session is self
        return {"kind": "test"}

    def sources(self, session: object, names: Sequence[str]) -> dict[str, str | None]:
        assert session is self
        return dict.fromkeys(names)

    def observe_all(self) -> list[ObservedGuest]:
        return [ObservedGuest("web1")]


def run(backend: OneGuest, run_module: Any) -> Any:
    return run_module(lambda: info.run(AnsibleModule({}, supports_check_mode=True), backend))


def test_host_and_guests(run_module: Any) -> None:
    result = run(OneGuest(), run_module)
    assert (result["failed"], result["changed"]) == (False, False)
    assert result["host"]["hypervisor"] == {"kind": "test"}
    assert {"available", "current", "findings"} <= set(result["host"]), "the host's own audit is beside the guests"
    assert result["guests"] == [ObservedGuest("web1").to_wire()]


def test_a_hypervisor_that_cannot_be_reached(run_module: Any) -> None:
    assert run(OneGuest("nobody answers"), run_module) == {"failed": True, "msg": "nobody answers"}


def test_a_guest_that_is_not_here_is_told(run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda module, text: warnings.append(text))
    specification = {"guests": {"type": "list", "elements": "str"}}
    run_module(
        lambda: info.run(AnsibleModule(specification, supports_check_mode=True), OneGuest()),
        guests=["web1", "web\u202e2"],
    )
    assert warnings == ["guests: no guest of this name or UUID is here: web\\u202e2"]


def test_sources_are_tried(run_module: Any) -> None:
    specification = {"sources": {"type": "list", "elements": "str"}}
    result = run_module(
        lambda: info.run(AnsibleModule(specification, supports_check_mode=True), OneGuest()), sources=["builtin"]
    )
    assert result["host"]["sources"] == {"builtin": None}


@pytest.mark.parametrize(
    ("sockets", "why", "found"),
    [
        (
            ["/run/virtrngd/gold.sock"],
            "",
            {"/dev/random": None, "egd+unix:/run/virtrngd/gold.sock": None, "broker": None},
        ),
        ([], "no broker is there", {"/dev/random": None, "broker": "no broker is there"}),
    ],
)
def test_broker_stands_for_its_sockets(
    run_module: Any, monkeypatch: pytest.MonkeyPatch, sockets: list[str], why: str, found: dict[str, str | None]
) -> None:
    monkeypatch.setattr(info, "broker_sockets", lambda: (sockets, why))
    options = {"sources": ["broker", "/dev/random"]}
    spec = {"sources": {"type": "list", "elements": "str"}}
    result = run_module(lambda: info.run(AnsibleModule(spec, supports_check_mode=True), OneGuest()), **options)
    assert result["host"]["sources"] == found


def test_the_controllers_own_broker_is_not_taken_for_the_hypervisors(
    run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(info, "broker_sockets", lambda: pytest.fail("looked here"))
    backend = OneGuest()
    backend.elsewhere = "it was asked over an API"  # type: ignore[attr-defined]
    spec = {"sources": {"type": "list", "elements": "str"}}
    result = run_module(lambda: info.run(AnsibleModule(spec), backend), sources=["broker", "/dev/random"])
    assert result["host"]["sources"] == {"/dev/random": None}
