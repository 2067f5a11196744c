# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs out of a collection: its version, and what its lookups refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.plugin_utils.programs import Program, text_of, version

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = Program("some_program", entry="deep.top", name="some-program")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "galaxy.yml").write_text("version: 7.8.9\n", encoding="utf-8")
    source = tmp_path / "plugins" / "module_utils" / "deep" / "top.py"
    source.parent.mkdir(parents=True)
    source.write_text("def main(version):\n    print(version)\n", encoding="utf-8")
    return tmp_path


def test_it_is_made_of_the_collections_own_sources(root: Path) -> None:
    (text,) = text_of(PROGRAM, [], {}, root)
    assert "SOURCES['fleet_rng.deep.top']" in text
    assert "some-program needs Python" in text
    assert 'main("7.8.9")' in text


def test_a_clone_has_its_version_where_it_is_built_from(root: Path) -> None:
    assert version(root) == "7.8.9"
    assert version() == yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]


def test_an_installed_collection_has_its_version_in_the_manifest(root: Path) -> None:
    (root / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "9.9.9"}}), encoding="utf-8")
    assert version(root) == "9.9.9"


def test_what_cannot_be_bundled_is_an_error_of_ansible(root: Path) -> None:
    (root / "plugins" / "module_utils" / "deep" / "top.py").write_text("import yaml\n", encoding="utf-8")
    with pytest.raises(AnsibleError, match=r"fleet\.rng\.some_program: .* imports yaml, which hosts need not have"):
        text_of(PROGRAM, [], {}, root)


@pytest.mark.parametrize(("terms", "options"), [(["a"], {}), ([], {"wantlist": 1})])
def test_terms_and_options_are_refused(terms: list[str], options: dict[str, int], root: Path) -> None:
    with pytest.raises(AnsibleError, match=r"fleet\.rng\.some_program takes no terms and no options"):
        text_of(PROGRAM, terms, options, root)
