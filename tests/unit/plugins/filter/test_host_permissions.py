# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_permissions: its documentation, and mistakes that are said by the variable's name."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.fleet.rng.plugins.filter import host_permissions as plugin


def test_it_has_its_name_and_its_arguments() -> None:
    assert plugin.FilterModule().filters() == {"host_permissions": plugin.host_permissions}
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert documented["name"] == "host_permissions"
    assert list(documented["options"])[1:] == list(inspect.signature(plugin.host_permissions).parameters)[1:]


def test_mistakes_name_the_variable() -> None:
    assert plugin.host_permissions({"devices": [{"path": "/dev/hwrng"}]})["devices"][0]["mode"] == "0640"
    with pytest.raises(AnsibleFilterError, match="rng_host_permissions: a device has"):
        plugin.host_permissions({"devices": [5]})
