# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of classes: who is served when, on a clock of its own."""

from __future__ import annotations

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import ClassConfig
from ansible_collections.fleet.rng.plugins.module_utils.broker.tree import Flow, Tree


def test_without_limits_all_is_served_at_once() -> None:
    tree = Tree([ClassConfig("a", rate=1), ClassConfig("b", rate=1)], None, 0.0)
    flows = [tree.flow(name, name) for name in "abab"]
    served: list[tuple[str, int]] = []

    def deliver(flow: Flow, size: int) -> int:
        served.append((flow.owner, size))
        return 0

    for flow in flows:
        tree.ask(flow, 255)
    assert tree.serve(0.0, 10**6, deliver) is None
    assert sorted(served) == [("a", 255)] * 2 + [("b", 255)] * 2
    assert [(one.bytes, one.requests, one.waiting) for one in tree.classes.values()] == [(510, 2, 0)] * 2
