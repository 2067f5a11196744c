# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_recap: its arguments, its documentation, and text that must not be templated."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import host_recap as plugin


def test_it_has_its_name_and_its_arguments() -> None:
    assert plugin.FilterModule().filters() == {"host_recap": plugin.host_recap}
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert documented["name"] == "host_recap"
    assert list(documented["options"])[1:] == list(inspect.signature(plugin.host_recap).parameters)[1:]


def test_what_the_host_said_is_never_templated() -> None:
    lines = plugin.host_recap({"host": "hv1", "rng": {"current": "{{ 6 * 7 }}"}})
    assert "{{ 6 * 7 }}" in lines[0]
    assert Templar(loader=DataLoader(), variables={}).template(lines) == lines


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(AnsibleFilterError, match="rng_host_outcome"):
        plugin.host_recap([])
