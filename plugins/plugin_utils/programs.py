# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that roles install on hosts, each made of this collection's own sources; what their lookups share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleLookupError
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import bundle

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Program:
    lookup: str
    entry: str  # the module with main(version), relative to module_utils
    name: str  # what the program calls itself


def text_of(program: Program, terms: Sequence[Any], options: Mapping[str, Any], root: Path = ROOT) -> list[str]:
    """What the program's lookup returns: the sources that hosts get are those of the collection that runs here."""
    lookup = f"fleet.rng.{program.lookup}"
    if terms or options:
        raise AnsibleLookupError(f"{lookup} takes no terms and no options")
    try:
        return [bundle(root / "plugins" / "module_utils", program.entry, program.name, version(root))]
    except RngError as error:
        raise AnsibleLookupError(f"{lookup}: {error}") from error


def version(root: Path = ROOT) -> str:
    """The collection's version: what is installed has a manifest, a clone has what it is built from."""
    manifest = root / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])
