# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""module_defaults under both names that Ansible's own function has; a real playbook is in the integration tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.executor import module_common
from ansible_collections.fleet.rng.plugins.plugin_utils.module_defaults import with_defaults

NEW, OLD = "_apply_action_arg_defaults", "get_action_args_with_defaults"
MODULE = "fleet.rng.qemu_rng"


def test_ansible_has_one_of_them() -> None:
    assert hasattr(module_common, NEW) or hasattr(module_common, OLD)


def test_as_newer_ones_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(action: str, task: object, args: dict[str, Any], templar: object) -> dict[str, Any]:
        assert (action, task, templar) == (MODULE, "task", "templar")
        return {"wait": 9, **args}

    monkeypatch.setattr(module_common, NEW, apply, raising=False)
    assert with_defaults(MODULE, {"live": True}, "task", "templar") == {"wait": 9, "live": True}


def test_as_older_ones_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {MODULE: ["fleet.rng.all"]}
    play = SimpleNamespace(_action_groups=groups)
    task = SimpleNamespace(module_defaults=[{}], _parent=SimpleNamespace(_play=play))

    def get(action: str, args: dict[str, Any], defaults: object, templar: object, *, action_groups: object) -> Any:
        assert (action, defaults, templar, action_groups) == (MODULE, [{}], "templar", groups)
        return {"wait": 9, **args}

    monkeypatch.delattr(module_common, NEW, raising=False)
    monkeypatch.setattr(module_common, OLD, get, raising=False)
    assert with_defaults(MODULE, {"live": True}, task, "templar") == {"wait": 9, "live": True}
