# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_host: what it writes through links, and what it does when something cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Play


def role(**variables: Any) -> dict[str, Any]:
    return {"import_role": {"name": "fleet.rng.rng_host"}, "vars": {"rng_host_become": False, **variables}}


def conf(path: Path, **more: Any) -> dict[str, Any]:
    return {"devices": [{"path": "/dev/hwrng7"}], "cgroup_acl": True, "qemu_conf": str(path), **more}


def test_a_link_stays_one_and_its_file_keeps_its_mode(play: Play, tmp_path: Path) -> None:
    real = tmp_path / "real.conf"
    real.write_text("# ours\n")
    real.chmod(0o600)
    link = tmp_path / "qemu.conf"
    link.symlink_to("real.conf")
    code, output, outcome = play([role(rng_host_permissions=conf(link))], keep="rng_host_outcome")
    assert code == 0, output
    assert str(link) in outcome["changed"]
    assert link.is_symlink()
    assert '"/dev/hwrng7"' in real.read_text()
    assert real.stat().st_mode & 0o7777 == 0o600
    code, output, outcome = play([role(rng_host_permissions=conf(link))], keep="rng_host_outcome")
    assert (code, str(link) in outcome["changed"]) == (0, False), output
