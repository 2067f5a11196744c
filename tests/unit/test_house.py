# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house (DESIGN.md): which folder may import which, and what has to have a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
COLLECTION = "ansible_collections.fleet.rng."

# An import goes from a higher number to a lower one, or stays within its folder.
RANK = {
    "module_utils/errors": 0,
    "module_utils/text": 0,
    "module_utils/bounded": 1,
    "module_utils/device": 1,
    "module_utils/host_kind": 1,
    "module_utils/observation": 2,
    "module_utils/converge": 3,
    "module_utils/kernel": 3,
    "module_utils/health": 3,
    "module_utils/metrics": 3,
    "module_utils/codec": 4,
    "module_utils/transport": 4,
    "module_utils/backend": 5,
    "module_utils/broker": 5,
    "module_utils/module": 6,
    "module_utils/watch": 7,
    "plugin_utils": 6,
    "modules": 7,
    "action": 7,
    "filter": 7,
    "lookup": 7,
    "test": 7,
    "doc_fragments": 7,
}
NO_UNIT_TESTS = ("modules", "doc_fragments")
LINES = 400
WRITTEN_BY_HAND = (".py", ".sh", ".yml", ".yaml", ".j2", ".md", ".toml", ".js", ".css")
DATA = ("tests/unit/cases", "tests/output", "docs/build")

SOURCES = sorted(path for path in PLUGINS.rglob("*.py") if path.name != "__init__.py")


def name(path: Path) -> str:
    """The path as it is spoken of: relative to the collection."""
    return path.relative_to(ROOT).as_posix()


def place(parts: tuple[str, ...]) -> str:
    """The row of RANK that a path or dotted name below plugins belongs to."""
    return "/".join(parts[:2]) if parts[0] == "module_utils" else parts[0]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """Every name that a file imports, absolute; of ``from x import y`` it is ``x.y``."""
    package = (COLLECTION + ".".join(path.relative_to(ROOT).parts[:-1])).split(".")
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_point_down(path: Path) -> None:
    here = place(path.relative_to(PLUGINS).with_suffix("").parts)
    assert here in RANK, "a new folder: give it a place in DESIGN.md and here"
    for target in imported(path):
        if target.startswith(COLLECTION + "plugins."):
            there = place(tuple(target[len(COLLECTION) :].split(".")[1:]))
            assert here == there or RANK[there] < RANK[here], f"{target} is not below {here}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_only_the_transport_talks_to_libvirt(path: Path) -> None:
    if "libvirt" in {target.partition(".")[0] for target in imported(path)}:
        assert place(path.relative_to(PLUGINS).parts) == "module_utils/transport"


@pytest.mark.parametrize("path", sorted((PLUGINS / "module_utils").rglob("*.py")), ids=name)
def test_only_the_runners_end_a_module(path: Path) -> None:
    names = {node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}
    if names & {"fail_json", "exit_json", "check_mode"}:
        assert path.is_relative_to(PLUGINS / "module_utils" / "module")


@pytest.mark.parametrize("path", sorted((PLUGINS / "modules").glob("*.py")), ids=name)
def test_a_module_is_documentation_and_a_short_main(path: Path) -> None:
    code = [node for node in parsed(path).body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in code] in ([], ["main"])
    assert all((function.end_lineno or 0) - function.lineno < 15 for function in code)


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/**/__init__.py")), ids=name)
def test_packages_are_empty(path: Path) -> None:
    assert path.read_bytes() == b""


# A module is a short main, and a fragment is text: the test below runs every module for real.
@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name not in NO_UNIT_TESTS], ids=name)
def test_every_plugin_has_unit_tests(path: Path) -> None:
    test = ROOT / "tests" / "unit" / path.relative_to(ROOT).with_name(f"test_{path.name}")
    assert test.is_file(), f"missing: {name(test)}"


@pytest.mark.parametrize("kind", ["roles", "modules"])
def test_every_role_and_module_is_run_for_real(kind: str) -> None:
    found = {path.stem for path in (ROOT.glob("roles/*/") if kind == "roles" else PLUGINS.glob("modules/*.py"))}
    assert found
    folders = [ROOT / "tests" / "integration", ROOT / "extensions" / "molecule", ROOT / "roles", ROOT / "playbooks"]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in WRITTEN_BY_HAND]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [one for one in sorted(found) if f"fleet.rng.{one}" not in text] == []


def test_no_file_is_long() -> None:
    skipped = tuple(ROOT / folder for folder in DATA)
    files = [
        path
        for top in ROOT.iterdir()
        if top.is_dir() and not top.name.startswith(".")
        for path in top.rglob("*")
        if path.suffix in WRITTEN_BY_HAND and not any(path.is_relative_to(folder) for folder in skipped)
    ]
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > LINES} == {}
