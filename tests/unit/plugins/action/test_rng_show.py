# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines are printed as they are, and harmless."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.fleet.rng.plugins.action import rng_show
from ansible_collections.fleet.rng.plugins.modules import rng_show as twin


def run(args: dict[str, Any]) -> dict[str, Any]:
    task = SimpleNamespace(
        args=args,
        action="fleet.rng.rng_show",
        async_val=0,
        check_mode=False,
        diff=False,
        environment=[],
        delegate_to=None,
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    result: dict[str, Any] = rng_show.ActionModule(task, connection, None, None, None, None).run(task_vars={})
    return result


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(rng_show, "display", SimpleNamespace(display=texts.append))
    return texts


def test_every_line_as_it_is(printed: list[str]) -> None:
    assert run({"lines": ["a  b", "", "{{ c }}"]}) == {"changed": False, "lines": ["a  b", "", "{{ c }}"]}
    assert printed == ["a  b\n\n{{ c }}"]


def test_what_is_not_visible_is_escaped_and_long_lines_are_cut(printed: list[str]) -> None:
    run({"lines": ["\x1b[2J\u202e", "x" * 10_000]})
    first, second = printed[0].split("\n")
    assert first == "\\x1b[2J\\u202e"
    assert len(second) == rng_show.LIMIT


@pytest.mark.parametrize("args", [{}, {"lines": ["a"], "text": "b"}])
def test_mistaken_options_are_refused(args: dict[str, Any], printed: list[str]) -> None:
    with pytest.raises(AnsibleActionFail):
        run(args)
    assert printed == []


def test_the_options_are_those_of_the_documentation() -> None:
    documented = yaml.safe_load(twin.DOCUMENTATION)["options"]
    keys = ("type", "elements", "required")
    assert {name: {key: option[key] for key in keys} for name, option in documented.items()} == rng_show.ARGUMENT_SPEC
