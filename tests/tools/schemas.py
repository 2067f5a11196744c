# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the JSON Schemas of docs/ from their values: ``.venv/bin/python tests/tools/schemas.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.fleet.rng.plugins.plugin_utils.report.schema import HOST_SCHEMA, REPORT_SCHEMA  # noqa: E402  needs the path above


def text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    for name, schema in (("host", HOST_SCHEMA), ("report", REPORT_SCHEMA)):
        (ROOT / "docs" / f"{name}.schema.json").write_text(text(schema), encoding="utf-8")
