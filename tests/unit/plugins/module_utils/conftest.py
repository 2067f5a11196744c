# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of several folders share."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import STAND_IN


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the CA of a cluster of Proxmox VE, and what it signed for this machine."""
    folder = tmp_path_factory.mktemp("certificates")
    sys.path.insert(0, str(STAND_IN.parent))
    try:
        importlib.import_module("certificates").make(folder)
    finally:
        sys.path.remove(str(STAND_IN.parent))
    return folder
