# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/bundle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle

ROOT = Path(__file__).resolve().parents[2]
ENTRY = "watch"
NAME = "fleet-rng-watch"


class LookupModule(LookupBase):
    """The sources that hosts get are those of the collection that runs here."""

    def run(self, terms: Sequence[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        del variables
        if terms or kwargs:
            raise AnsibleLookupError("fleet.rng.watch_program takes no terms and no options")
        try:
            return [bundle(ROOT / "plugins" / "module_utils", ENTRY, NAME, version(ROOT))]
        except RngError as error:
            raise AnsibleLookupError(f"fleet.rng.watch_program: {error}") from error


def version(root: Path) -> str:
    """The collection's version: what is installed has a manifest, a clone has what it is built from."""
    manifest = root / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])
