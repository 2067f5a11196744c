# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_daemon: what it says of a daemon that runs, and of one that ends as soon as it has started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import Play

# A kernel on which rngd is asked for, and helps nobody.
RNG: dict[str, Any] = {
    "os": {"id": "debian"},
    "kernel": {"release": "6.1.0"},
    "available": [],
    "current": None,
    "cpu": [],
    "daemons": [],
}

SERVICE = """#!/bin/sh
### BEGIN INIT INFO
# Provides: rngd
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
case $1 in
  start) setsid /usr/local/sbin/rngd {seconds} </dev/null >/dev/null 2>&1 & echo $! >/run/rngd.pid ;;
  status) kill -0 $(cat /run/rngd.pid) 2>/dev/null || exit 3 ;;
esac
exit 0
"""


def prepared(tmp_path: Path, seconds: str) -> str:
    (tmp_path / "service").write_text(SERVICE.format(seconds=seconds))
    return (
        f"rm -f /etc/rc?.d/*rngd; cp {tmp_path}/service /etc/init.d/rngd"
        "; cp /bin/sleep /usr/local/sbin/rngd; chmod 755 /etc/init.d/rngd"
    )


def role() -> dict[str, Any]:
    own = {"rng_daemon_policy": "rngd", "rng_daemon_rng": RNG, "rng_daemon_become": False}
    return {"include_role": {"name": "fleet.rng.rng_daemon"}, "vars": own}


def test_one_that_runs(play: Play, tmp_path: Path) -> None:
    script = prepared(tmp_path, "600")
    code, output, outcome = play([role()], keep="rng_daemon_outcome", script=script)
    assert code == 0, output
    assert (outcome["daemon"], outcome["state"], outcome["changed"]) == ("rngd", "present", True)


def test_one_that_ends_at_once(play: Play, tmp_path: Path) -> None:
    script = prepared(tmp_path, "0.5")
    tasks = [{"block": [role()], "rescue": [{"set_fact": {"why": "{{ ansible_failed_result.msg }}"}}]}]
    code, output, why = play(tasks, keep="why | default('nothing was said')", script=script)
    assert code == 0, output
    assert why.startswith("rngd: does not run. Its service rngd was told to start, and said that it did"), why
    assert "the kernel has no hardware RNG, and the CPU no instruction" in why
