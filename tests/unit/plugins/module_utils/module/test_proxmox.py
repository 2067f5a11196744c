# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules for Proxmox VE: given, from the environment, missing, and never shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.fleet.rng.plugins.module_utils.backend.proxmox import Backend
from ansible_collections.fleet.rng.plugins.module_utils.module import proxmox
from ansible_collections.fleet.rng.plugins.modules import proxmox_rng, proxmox_rng_info
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import (
    SECRET,
    TOKEN,
    USER,
    Node,
    serving,
)

DEFAULTS = {name: spec.get("default") for name, spec in proxmox.PROXMOX_SPEC.items()}
GIVEN = {"api_host": "127.0.0.1", "api_user": USER, "api_token_id": TOKEN, "api_token_secret": SECRET, "node": "pve1"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in proxmox.PROXMOX_SPEC.values():
        for name in spec.get("fallback", (None, []))[1]:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")


def test_without_a_host_the_module_is_on_the_node() -> None:
    for host in (None, ""):
        found = proxmox.backend_of({**DEFAULTS, "api_host": host, "api_token_secret": "unused"})
        assert isinstance(found, Backend)
        assert (found.access, found.elsewhere) == (None, "")


def test_with_a_host_it_is_anywhere() -> None:
    access = proxmox.backend_of({**DEFAULTS, **GIVEN}).access
    assert access is not None
    assert (access.host, access.node, access.user, access.token_id, access.secret) == (
        *("127.0.0.1", "pve1", USER, TOKEN),
        SECRET,
    )
    assert (access.port, access.verify, access.ca_path, access.seconds) == (8006, True, "", 60)


@pytest.mark.parametrize("missing", ["api_user", "api_token_id", "api_token_secret", "node"])
def test_what_a_host_needs(missing: str, run_module: Any) -> None:
    for main, options in ((proxmox_rng.main, {"devices": []}), (proxmox_rng_info.main, {})):
        given = {name: value for name, value in GIVEN.items() if name != missing}
        for empty in ({}, {missing: ""}):
            result = run_module(main, **options, **given, **empty)
            assert result == {"failed": True, "msg": f"missing parameter(s) required by 'api_host': {missing}"}


def test_an_empty_host_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Any) -> None:
    """As a template makes it of a variable that is not set; nothing else is needed then."""
    monkeypatch.setenv("PATH", str(tmp_path))
    device: dict[str, Any] = {"devices": [{"guest": "web1"}]}
    for options in ({"api_host": ""}, {**dict.fromkeys(GIVEN, ""), "ca_path": ""}):
        for main, own in ((proxmox_rng.main, device), (proxmox_rng_info.main, {})):
            result = run_module(main, **own, **options)
            assert (result["failed"], result["msg"]) == (True, "there is no pvesh here, so this is no Proxmox VE node")


def test_a_token_of_the_environment(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch, run_module: Any
) -> None:
    node = Node(tmp_path / "node")
    node.add(101, "name: web1\n")
    monkeypatch.setenv("PVE_STAND_IN", str(node.root))
    with serving(certificates) as port:
        for name, value in (
            ("PORT", str(port)),
            ("USER", USER),
            ("TOKEN_ID", TOKEN),
            ("TOKEN_SECRET", SECRET),
            ("CA_PATH", str(certificates / "pve-root-ca.pem")),
            ("HOST", "nowhere.invalid"),
        ):
            monkeypatch.setenv(f"PROXMOX_{name}", value)
        result = run_module(proxmox_rng_info.main, api_host="127.0.0.1", node="pve1")
        assert [guest["name"] for guest in result["guests"]] == ["web1"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no pvesh here" in run_module(proxmox_rng_info.main)["msg"], "PROXMOX_HOST alone says nothing"


@pytest.mark.parametrize("option", ["api_host", "api_user", "api_token_id", "node"])
def test_a_secret_in_the_wrong_option_is_kept_out_of_what_the_module_was_given(
    option: str, monkeypatch: pytest.MonkeyPatch, run_module: Any
) -> None:
    hidden: set[str] = set()
    fail = basic.AnsibleModule.fail_json

    def keep(module: Any, msg: str, **result: Any) -> None:
        hidden.update(module.no_log_values)
        fail(module, msg, **result)

    monkeypatch.setattr(basic.AnsibleModule, "fail_json", keep)
    wrong = f"{USER}!{TOKEN}={SECRET}"
    result = run_module(proxmox_rng_info.main, **{**GIVEN, "api_token_secret": "another-one", option: wrong})
    assert result["msg"].startswith(f"{option}: '(not shown)' is not valid")
    assert {wrong, SECRET} <= hidden, "Ansible blanks them in the invocation"


@pytest.mark.parametrize("wrong", [{"api_user": "ansible"}, {"ca_path": "/nowhere"}, {"api_token_secret": "s h o w n"}])
def test_options_that_cannot_be_meant_fail_and_show_no_secret(wrong: dict[str, str], run_module: Any) -> None:
    result = run_module(proxmox_rng_info.main, **{**GIVEN, **wrong})
    assert result["failed"] is True
    assert next(iter(wrong)) in result["msg"]
    assert "s h o w n" not in json.dumps(result)
    assert SECRET not in json.dumps(result)
