# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled code that is handed over: taken where it is of the same sources, and compiled again where it is not."""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import compiled

SOURCES = {"one": "answer = 42\n"}
CODE = {"one": compile(SOURCES["one"], "one", "exec")}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file that runs, as plugin_utils/bundle makes it."""
    made: Any = ModuleType("__main__")
    made.SOURCES = dict(SOURCES)
    made.CODE = {}
    monkeypatch.setitem(sys.modules, "__main__", made)
    return made  # type: ignore[no-any-return]


@pytest.fixture
def left() -> Iterator[int]:
    """A descriptor of its own for each test; load() closes what it reads."""
    descriptor = os.memfd_create("test")
    yield os.dup(descriptor)
    os.close(descriptor)


def environ(descriptor: int | str) -> dict[str, str]:
    return {compiled.VARIABLE: str(descriptor)}


def test_what_a_child_leaves_is_taken(program: Any, left: int) -> None:
    program.CODE = dict(CODE)
    compiled.save(environ(left))
    program.CODE = {}
    given = environ(left)
    assert compiled.load(given)
    assert not given, "it is for this process only"
    found: dict[str, int] = {}
    exec(program.CODE["one"], found)  # noqa: S102 - what it is for
    assert found["answer"] == 42
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(left)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        marshal.dumps([sys.version, SOURCES, CODE])[:-5],
        marshal.dumps(["another Python", SOURCES, CODE]),
        marshal.dumps([sys.version, {"one": "answer = 43\n"}, CODE]),
        marshal.dumps([sys.version, {}, {}]),
        marshal.dumps([sys.version]),
        marshal.dumps(None),
    ],
)
def test_anything_else_is_left_and_compiled(program: Any, left: int, content: bytes) -> None:
    os.write(left, content)
    assert not compiled.load(environ(left))
    assert program.CODE == {}


@pytest.mark.parametrize("given", ["", "-1", "x", "99999", "²"])
def test_no_descriptor_is_nothing_to_do(program: Any, given: str) -> None:
    assert not compiled.load(environ(given))
    assert program.CODE == {}


def test_a_program_that_is_no_bundle_has_nothing_to_leave(left: int) -> None:
    compiled.save(environ(left))
    assert not compiled.load(environ(left))


def test_it_is_passed_on_and_closed_when_the_program_stays() -> None:
    descriptor = os.memfd_create("test")
    with compiled.passed(descriptor) as variables:
        assert variables == environ(descriptor)
        assert os.get_inheritable(descriptor)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)
    with compiled.passed(-1) as variables:
        assert variables == {}
