# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role virtio_rng, used more than once in a run: what it measured the first time still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import Play


def test_what_was_measured_is_kept(play: Play, tmp_path: Path) -> None:
    (tmp_path / "guests").mkdir()
    (tmp_path / "guests" / "web1.cfg").write_text("")
    variables = {
        "virtio_rng_hypervisor": "qemu",
        "virtio_rng_become": False,
        "virtio_rng_host_budget": "measured",
        "virtio_rng_max_bytes": "unlimited",
        "virtio_rng_source_test": {"seconds": 1},
        "virtio_rng_qemu_processes": False,
        "virtio_rng_qemu_config_dir": str(tmp_path / "guests"),
        "virtio_rng_qemu_config_roots": [str(tmp_path / "guests")],
    }

    def role(source: str) -> dict[str, Any]:
        return {"include_role": {"name": "fleet.rng.virtio_rng"}, "vars": {"virtio_rng_source": source}}

    keep = "[virtio_rng_source_tests.sources, virtio_rng_plan.plan.hosts.localhost]"
    # As where another hypervisor has something to test, and this one nothing any more.
    again = role("/dev/urandom")
    again["include_role"]["tasks_from"] = "test_sources.yml"
    code, output, (sources, planned) = play([role("/dev/urandom"), again], keep=keep, variables=variables)
    assert code == 0, output
    assert [one["source"] for one in sources] == ["/dev/urandom"]
    assert planned["error"] is None
    tasks = [role("/dev/urandom"), again, role("/dev/random")]
    code, output, (sources, planned) = play(tasks, keep=keep, variables=variables)
    assert code == 0, output
    assert [one["source"] for one in sources] == ["/dev/urandom", "/dev/random"]
    assert all(one["bytes_per_second"] > 0 for one in sources)
    assert planned["error"] is None
    assert list(planned["budget"]["measured"]["sources"]) == ["/dev/random"]
