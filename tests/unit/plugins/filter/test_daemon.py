# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter around plugin_utils/daemon: its arguments, its documentation, and text that must not be templated."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import daemon as plugin
from ansible_collections.fleet.rng.plugins.plugin_utils.daemon import DAEMONS, POLICIES

RNG = {"kernel": {"release": "6.1.0", "arch": "x86_64"}, "role": "guest", "current": "{{ 6 * 7 }}", "quality": 0}


def test_it_is_called_daemon() -> None:
    assert plugin.FilterModule().filters() == {"daemon": plugin.daemon}


def test_the_reason_is_never_templated() -> None:
    decision = plugin.daemon(RNG)
    assert "{{ 6 * 7 }}" in (decision["why"] or "")
    assert Templar(loader=DataLoader(), variables={}).template(decision) == decision


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(AnsibleFilterError, match=r"fleet\.rng\.daemon.*not always"):
        plugin.daemon(RNG, "always")
    with pytest.raises(AnsibleFilterError, match=r"fleet\.rng\.daemon.*offered"):
        plugin.daemon(RNG, "auto", "rngd")


def test_the_documentation_has_every_argument() -> None:
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    parameters = inspect.signature(plugin.daemon).parameters
    assert list(documented["options"])[1:] == list(parameters)[1:]
    assert documented["options"]["policy"]["choices"] == list(POLICIES)
    assert documented["options"]["policy"]["default"] == parameters["policy"].default
    assert documented["options"]["offered"]["default"] == list(DAEMONS)
