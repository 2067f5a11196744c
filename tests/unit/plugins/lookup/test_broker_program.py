# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup gives a daemon that runs without Ansible."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.lookup import broker_program


def test_terms_are_refused() -> None:
    with pytest.raises(AnsibleError, match="broker_program takes no terms"):
        broker_program.LookupModule().run(["a"])
