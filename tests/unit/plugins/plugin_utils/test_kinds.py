# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which arguments reach the modules of each kind of hypervisor."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.module.views import VIEWS_SPEC
from ansible_collections.fleet.rng.plugins.plugin_utils import kinds

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"


ALL: dict[str, Any] = {
    "kind": "auto",
    "options": {"libvirt": {"uri": "test:///default"}, "qemu": {"sockets": ["/run/*.qmp"], "processes": None}},
    "sources": ["/dev/hwrng"],
    "guest_view": True,
    "guest_exec": False,
    "host_view": True,
    "monitor": False,
    "measure": None,
    "guests": ["web1"],
    "timeout": 10,
}


def test_what_is_looked_at() -> None:
    views = {"guest_view": True, "guest_exec": False, "host_view": True, "monitor": False}
    asked = {"sources": ["/dev/hwrng"], **views, "guests": ["web1"], "timeout": 10}
    assert kinds.observing("libvirt", ALL) == ("fleet.rng.libvirt_rng_info", {**asked, "uri": "test:///default"})
    assert kinds.observing("qemu", ALL) == ("fleet.rng.qemu_rng_info", {**asked, "sockets": ["/run/*.qmp"]})
    assert kinds.observing("ganeti", ALL) == ("fleet.rng.ganeti_rng_info", asked)


def test_what_is_changed() -> None:
    options = {"kind": "qemu", "options": ALL["options"], "devices": [{"guest": "web1"}], "live": True, "wait": None}
    assert kinds.converging("qemu", options) == (
        "fleet.rng.qemu_rng",
        {"devices": [{"guest": "web1"}], "live": True, "sockets": ["/run/*.qmp"]},
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"xen": {}}, "options: 'xen' is not valid; allowed: mappings of libvirt, qemu, proxmox, ganeti"),
        ({"libvirt": "qemu:///system"}, r"options.libvirt: '\(.*str\)' is not valid; allowed: a mapping"),
        ({"libvirt": [{"api_token_secret": "x"}]}, r"options.libvirt: '\(.*list\)' is not valid; allowed: a mapping"),
    ],
)
def test_options_are_mappings_by_kind(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        kinds.observing("libvirt", {"options": options})


@pytest.mark.parametrize(
    ("kind", "options", "needed"),
    [
        ("libvirt", {}, False),
        ("libvirt", {"sources": [], "guest_view": False}, False),
        ("libvirt", {"sources": ["/dev/hwrng"]}, True),
        ("libvirt", {"host_view": True}, True),
        ("proxmox", {}, True),
    ],
)
def test_root_is_for_those_who_need_it(kind: str, options: dict[str, Any], needed: bool) -> None:
    assert kinds.needs_root(kind, options) is needed


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_module_of_each_kind_has_the_views(kind: str) -> None:
    tree = ast.parse((MODULES / f"{kind}_rng_info.py").read_text())
    assert "VIEWS_SPEC" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(kinds.VIEWS) == set(VIEWS_SPEC)


@pytest.mark.parametrize(
    ("kind", "host", "found", "over"),
    [
        ("auto", "pve1", "proxmox", True),
        ("auto", "", "auto", False),
        ("auto", None, "auto", False),
        ("proxmox", "pve1", "proxmox", True),
        ("proxmox", "", "proxmox", False),
        ("libvirt", "pve1", "libvirt", False),
    ],
)
def test_with_an_api_there_is_nothing_to_find_out(kind: str, host: str | None, found: str, over: bool) -> None:
    options = {"kind": kind, "options": {"proxmox": {"api_host": host, "node": "pve1"}}}
    assert kinds.given_kind(options) == found
    if found != "auto":
        assert kinds.over_api(found, kinds.observing(found, options)[1]) is over


def test_what_is_empty_is_left_to_the_module() -> None:
    own = {"api_host": "pve1", "api_user": "", "ca_path": None, "api_port": 0, "validate_certs": False}
    assert kinds.observing("proxmox", {"options": {"proxmox": own}})[1] == {
        "api_host": "pve1",
        "api_port": 0,
        "validate_certs": False,
    }


def test_every_kind_has_its_commands() -> None:
    assert {kind: sorted(commands) for kind, commands in kinds.COMMANDS.items()} == {
        kind: ["log", "restart", "show"] for kind in kinds.KINDS
    }
