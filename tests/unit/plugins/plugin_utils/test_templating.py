# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One variable, templated for a host."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.plugin_utils import templating
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Untemplated
from ansible_collections.fleet.rng.plugins.plugin_utils.templating import templated

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 trusts everything

    def trust_as_template(value: str) -> str:
        return value


def of(value: Any, variables: dict[str, Any] | None = None) -> Any:
    return templated(Templar(loader=DataLoader()), value, variables or {}, {"other": {"rate": 9}})


@pytest.mark.parametrize("value", [None, True, 5, 0.5, "plain", ["a"], {"a": 1}])
def test_plain_values_stay(value: Any) -> None:
    assert of(value) == value


def test_templates_see_the_hosts_variables_and_those_of_others() -> None:
    assert str(of(trust_as_template("{{ 3 * share }}"), {"share": 1024})) == "3072"
    assert str(of(trust_as_template("{{ hostvars.other.rate }}"))) == "9"


def test_a_template_that_fails_is_a_reason() -> None:
    found = of(trust_as_template("{{ no_such_variable }}"))
    assert isinstance(found, Untemplated)
    assert "no_such_variable" in found.why


def test_what_is_encrypted_is_not_shown() -> None:
    class EncryptedString:
        pass

    assert of(EncryptedString()) is templating.ENCRYPTED


def test_a_value_of_another_type_is_left_to_whoever_checks_it() -> None:
    day = date(2026, 1, 1)
    assert of(day) is day
