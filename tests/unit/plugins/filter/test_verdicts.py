# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter around plugin_utils/verdicts: its arguments, its documentation, and text that must not be templated."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import verdicts as plugin
from ansible_collections.fleet.rng.plugins.plugin_utils.verify import VERDICTS

COUNTS = dict.fromkeys(VERDICTS, 0)
VERIFICATION = {
    "hosts": {"hv1": {"error": "{{ 6 * 7 }}", "counts": COUNTS, "total": 0, "guests": []}},
    "counts": COUNTS,
    "total": 0,
}


def test_it_is_called_verdicts() -> None:
    assert plugin.FilterModule().filters() == {"verdicts": plugin.verdicts}


def test_the_lines_are_never_templated() -> None:
    lines = plugin.verdicts(VERIFICATION)
    assert "hv1  not verified  {{ 6 * 7 }}" in lines
    assert Templar(loader=DataLoader(), variables={}).template(lines) == lines


@pytest.mark.parametrize("verification", [None, [], {"verification": VERIFICATION}])
def test_wrong_arguments_are_named(verification: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"fleet\.rng\.verdicts"):
        plugin.verdicts(verification)


def test_the_documentation_has_every_argument() -> None:
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    parameters = inspect.signature(plugin.verdicts).parameters
    assert list(documented["options"])[1:] == list(parameters)[1:]
    assert documented["options"]["width"]["default"] == parameters["width"].default
