# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard: every query in it is one that Prometheus understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml

DASHBOARD = Path(__file__).parents[3] / "roles" / "rng_report" / "files" / "grafana-dashboard.json"
VARIABLES = {"$hypervisor": "hv1|hv2"}  # as Grafana puts them in


def test_prometheus_understands_every_query(promtool: Callable[..., str], tmp_path: Path) -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = []
    for number, query in enumerate(queries):
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        assert "$" not in query
        rules.append({"record": f"test:query:{number}", "expr": query})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    assert f"{len(panels)} rules found" in promtool("check", "rules", file)
