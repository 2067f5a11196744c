# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_look: its documentation, and text that must not be templated."""

from __future__ import annotations

import inspect
from pathlib import Path

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import host_look as plugin


def test_it_has_its_name_and_its_arguments() -> None:
    assert plugin.FilterModule().filters() == {"host_look": plugin.host_look}
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert documented["name"] == "host_look"
    assert list(documented["options"])[1:] == list(inspect.signature(plugin.host_look).parameters)[1:]


def test_what_the_host_said_is_never_templated() -> None:
    look = plugin.host_look(["apparmor yes", "label /dev/hwrng {{ 6 * 7 }}"], ["/dev/hwrng"])
    assert look["labels"] == {"/dev/hwrng": "{{ 6 * 7 }}"}
    assert len(look["obstacles"]) == 1
    assert Templar(loader=DataLoader(), variables={}).template(look) == look
