# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of compliance: how many machines each rule would pass, and what is to be said of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.compliance import AGREE, FAIL, RESULTS, RULES, compliance
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import some
from ansible_collections.fleet.rng.plugins.plugin_utils.table import explained, numbers


def table(machines: Mapping[str, Any], width: int = 100) -> list[str]:
    """The lines: a row for each rule, then who fails it or where we judge otherwise, and why.

    :param machines: by inventory name, the ``rng`` of ``rng_info`` or the ``host`` of an ``X_rng_info`` module; what is
        no such mapping is a machine that could not be audited.
    """
    counts: dict[str, Counter[str]] = {rule.id: Counter() for rule in RULES}
    said: dict[tuple[str, str, str, str], tuple[str, list[str]]] = {}  # with the first machine's why
    for name in sorted(machines):
        rng = machines[name]
        for item in compliance(rng) if isinstance(rng, Mapping) else ():
            counts[item["id"]][item["result"]] += 1
            if item["result"] == FAIL or item["judgement"] != AGREE:
                key = (item["id"], item["result"], item["judgement"], item["note"])
                said.setdefault(key, (item["why"], []))[1].append(name)
    lines = numbers("rule", RESULTS, list(counts.items()))
    order = [rule.id for rule in RULES]
    entries = sorted(said.items(), key=lambda entry: (order.index(entry[0][0]), RESULTS.index(entry[0][1])))
    if entries:
        lines.append("")
    lines += explained(
        [
            ((rule, result, judgement), printable(f"{some(names)}: {why}. {note}".strip(), 600))
            for (rule, result, judgement, note), (why, names) in entries
        ],
        width,
    )
    unknown = [name for name in sorted(machines) if not isinstance(machines[name], Mapping)]
    return [*lines, "", f"not audited: {some(unknown)}"] if unknown else lines
