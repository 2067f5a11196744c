# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter around plugin_utils/recap: its arguments, its documentation, and text that must not be templated."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import recap as plugin

PLAN = {
    "hosts": {
        "hv1": {
            "guests": [{"guest": "{{7*7}}", "config": "added", "live": "needs_restart", "reason": "{{ 6 * 7 }}"}],
            "devices": [],
            "refused": [],
            "total": 1,
            "in_sync": 0,
            "unmanaged": 0,
            "error": None,
        }
    }
}


def test_it_is_called_recap() -> None:
    assert plugin.FilterModule().filters() == {"recap": plugin.recap}


def test_the_lines_are_never_templated() -> None:
    lines = plugin.recap(PLAN)
    assert lines[-1] == "hv1  {{7*7}}  needs restart  {{ 6 * 7 }}"
    assert Templar(loader=DataLoader(), variables={}).template(lines) == lines


@pytest.mark.parametrize(("plan", "results"), [(None, {}), ([], {}), ({"plan": PLAN}, {}), (PLAN, ["hv1"])])
def test_wrong_arguments_are_named(plan: object, results: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"fleet\.rng\.recap"):
        plugin.recap(plan, results)


def test_the_documentation_has_every_argument() -> None:
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    parameters = inspect.signature(plugin.recap).parameters
    assert list(documented["options"])[1:] == list(parameters)[1:]
    assert documented["options"]["width"]["default"] == parameters["width"].default
