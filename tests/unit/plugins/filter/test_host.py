# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters around plugin_utils/host: their arguments, their documentation, and text that must not be templated."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import host as plugin

FILTERS = plugin.FilterModule().filters()


def test_they_have_their_names() -> None:
    assert sorted(FILTERS) == ["host_look", "host_permissions", "host_recap"]


@pytest.mark.parametrize("name", FILTERS)
def test_each_is_documented(name: str) -> None:
    text = (Path(plugin.__file__).parent / f"{name}.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["DOCUMENTATION"]["name"] == name


def test_what_the_host_said_is_never_templated() -> None:
    look = plugin.host_look(["label /dev/hwrng {{ 6 * 7 }}"])
    (line,) = plugin.host_recap({"host": "hv1", "rng": {"current": "{{ 6 * 7 }}"}})
    assert "{{ 6 * 7 }}" in line
    assert Templar(loader=DataLoader(), variables={}).template([look, line]) == [look, line]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(AnsibleFilterError, match="rng_host_permissions: a device has"):
        plugin.host_permissions({"devices": [5]})
    with pytest.raises(AnsibleFilterError, match="rng_host_outcome"):
        plugin.host_recap([])
