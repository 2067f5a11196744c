# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules for plain QEMU."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import QEMU_SPEC, Options, parse_options
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError


def test_defaults() -> None:
    assert parse_options({name: spec.get("default") for name, spec in QEMU_SPEC.items()}) == Options()


def test_sockets() -> None:
    given = {name: spec.get("default") for name, spec in QEMU_SPEC.items()}
    assert parse_options({**given, "sockets": ["/a/*"], "processes": False}) == Options(("/a/*",), False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"configs": {"a": "relative.cfg"}}, "configs.a: 'relative.cfg' is not valid; allowed: an absolute path"),
        ({"configs": {"a": 7}}, "configs.a: 7"),
        ({"config_dir": "x"}, "config_dir: 'x'"),
        ({"config_roots": ["/a", "b\0"]}, "config_roots: 'b"),
    ],
)
def test_paths(given: dict[str, Any], message: str) -> None:
    defaults = {name: spec.get("default") for name, spec in QEMU_SPEC.items()}
    with pytest.raises(InvalidValueError, match=message):
        parse_options({**defaults, **given})
    parsed = parse_options({**defaults, "configs": {"b": "/b", "a": "/a"}, "config_dir": "/c", "config_roots": []})
    assert parse_options({**defaults, "config_dir": ""}).config_dir == ""
    assert (parsed.configs, parsed.config_dir, parsed.config_roots) == ((("a", "/a"), ("b", "/b")), "/c", ())
