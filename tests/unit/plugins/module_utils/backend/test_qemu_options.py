# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules for plain QEMU."""

from __future__ import annotations

from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import QEMU_SPEC, Options, parse_options


def test_defaults() -> None:
    assert parse_options({name: spec.get("default") for name, spec in QEMU_SPEC.items()}) == Options()


def test_sockets() -> None:
    given = {name: spec.get("default") for name, spec in QEMU_SPEC.items()}
    assert parse_options({**given, "sockets": ["/a/*"], "processes": False}) == Options(("/a/*",), False)
