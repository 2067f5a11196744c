# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell over plugin_utils/compliance_table: what it refuses."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.fleet.rng.plugins.filter.compliance import FilterModule

compliance = FilterModule().filters()["compliance"]


def test_the_lines_of_the_table() -> None:
    assert compliance({"hv1": None})[-1] == "not audited: hv1"


@pytest.mark.parametrize("machines", [None, [], "hv1"])
def test_anything_but_machines_is_refused(machines: object) -> None:
    with pytest.raises(AnsibleFilterError, match="takes a mapping of machines"):
        compliance(machines)
