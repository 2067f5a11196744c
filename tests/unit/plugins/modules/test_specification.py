# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module promises: check mode, and options that are documented just as they are read."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

PLUGINS = "ansible_collections.fleet.rng.plugins"
FOLDER = Path(__file__).resolve().parents[4] / "plugins" / "modules"
# Beside a documentation twin of an action there is no argument specification.
MODULES = [
    path.stem
    for path in sorted(FOLDER.glob("*.py"))
    if any(isinstance(node, ast.FunctionDef) for node in ast.parse(path.read_text(encoding="utf-8")).body)
]


def documented(name: str) -> dict[str, Any]:
    """The options of a module with those of its documentation fragments."""
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documentation.get("options", {}))
    for fragment in documentation.get("extends_documentation_fragment", []):
        file, dummy, variable = fragment.removeprefix("fleet.rng.").partition(".")
        source = importlib.import_module(f"{PLUGINS}.doc_fragments.{file}").ModuleDocFragment
        text = getattr(source, variable.upper() or "DOCUMENTATION")
        options.update(yaml.safe_load(text).get("options", {}))
    return options


def read(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a module gives to AnsibleModule."""

    class Stop(Exception):  # noqa: N818  not an error: the rest of main is of no interest
        pass

    def note(*dummy: Any, **options: Any) -> None:
        raise Stop(options)

    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    monkeypatch.setattr(module, "AnsibleModule", note)
    with pytest.raises(Stop) as caught:
        module.main()
    result: dict[str, Any] = caught.value.args[0]
    return result


def same(specification: dict[str, Any], options: dict[str, Any], where: str) -> None:
    assert set(specification) == set(options), where
    for name, spec in specification.items():
        text = options[name]
        assert text["description"], f"{where}{name}"
        for key in ("type", "elements", "default", "choices", "required"):
            assert spec.get(key) == text.get(key), f"{where}{name}: {key}"
        same(spec.get("options", {}), text.get("suboptions", {}), f"{where}{name}.")


def test_there_are_modules() -> None:
    assert {"libvirt_rng", "libvirt_rng_info"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented_as_they_are_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same(read(name, monkeypatch)["argument_spec"], documented(name), "")


@pytest.mark.parametrize("name", MODULES)
def test_check_mode_is_supported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(name, monkeypatch)["supports_check_mode"] is True
