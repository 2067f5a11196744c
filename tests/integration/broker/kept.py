# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program inside/kept.py as one file, made as those are that hosts get."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle

MODULE_UTILS = Path(__file__).parents[3] / "plugins" / "module_utils"
PARTS = ("errors.py", "text.py", "broker/handover.py", "broker/notify.py")


def kept_program() -> str:
    """Its text."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "broker").mkdir()
        for part in PARTS:
            shutil.copy(MODULE_UTILS / part, root / part)
        shutil.copy(Path(__file__).parent / "inside" / "kept.py", root / "broker")
        return bundle(root, "broker.kept", "kept", "0")
