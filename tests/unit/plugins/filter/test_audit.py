# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell over plugin_utils/audit: what it refuses, and that nothing in its lines is templated."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.fleet.rng.plugins.filter.audit import FilterModule

audit = FilterModule().filters()["audit"]


def test_the_lines_of_the_table() -> None:
    assert audit({"hv1": None})[1].split() == ["hv1", "not", "audited", *["-"] * 7]


@pytest.mark.parametrize("machines", [None, [], "hv1"])
def test_anything_but_machines_is_refused(machines: object) -> None:
    with pytest.raises(AnsibleFilterError, match="takes a mapping of machines"):
        audit(machines)


@pytest.mark.parametrize("sources", [[], "hv1"])
def test_anything_but_tested_sources_is_refused(sources: object) -> None:
    with pytest.raises(AnsibleFilterError, match="sources is a mapping of machines"):
        audit({"hv1": None}, sources=sources)
