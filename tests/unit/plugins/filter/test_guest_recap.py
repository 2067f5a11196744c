# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter guest_recap hands over to plugin_utils/guest."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import guest_recap as plugin


def test_it_is_called_guest_recap() -> None:
    assert plugin.FilterModule().filters() == {"guest_recap": plugin.guest_recap}


def test_what_a_guest_says_is_never_templated() -> None:
    line = plugin.guest_recap({"guest": "web1", "rng": {"current": "{{ 6 * 7 }}"}})
    assert "{{ 6 * 7 }}" in line
    assert Templar(loader=DataLoader(), variables={}).template(line) == line


def test_anything_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="rng_guest_outcome"):
        plugin.guest_recap({"rng": {}})
