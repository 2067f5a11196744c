# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles on this machine, which keeps what is its own: for them, /etc is a copy, and /dev, /run
and /usr/local/sbin hold nothing that matters."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.process import PATIENCE

ROOT = Path(__file__).parents[3]
# Whatever runs in here changes copies, and ends with it. Links of /etc lead to /usr and /var, which are read-only.
ASIDE = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$0"
for shared in /usr /var; do
  mount --rbind $shared $shared
  mount -o remount,bind,ro $shared
done
cp -a /etc "$0/etc"; rm -f "$0/etc/mtab"
mkdir -p "$0/dev/shm" "$0/dev/pts" "$0/run" "$0/sbin"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/fd /dev/std* "$0/dev"
mount --bind "$0/dev" /dev
mount --bind "$0/etc" /etc
mount --bind "$0/run" /run
mount --bind "$0/sbin" /usr/local/sbin
mount -t proc proc /proc
"""
# With processes of its own: what a role starts ends with the run.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
Play = Callable[..., tuple[int, str, dict[str, Any]]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run tasks on this machine, after a script that prepares it: exit code, output, and the variable asked for."""
    if os.geteuid() != 0:
        pytest.skip("mounts")

    def play(
        tasks: list[dict[str, Any]], *, keep: str, script: str = "", variables: dict[str, Any] | None = None
    ) -> tuple[int, str, dict[str, Any]]:
        answer, aside = tmp_path / "answer.json", tmp_path / "aside"
        aside.mkdir(exist_ok=True)
        answer.unlink(missing_ok=True)
        save = {"copy": {"content": "{{ " + keep + " | to_json }}", "dest": str(answer), "mode": "0644"}}
        own = {"ansible_python_interpreter": sys.executable, **(variables or {})}
        book = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": own,
            "tasks": [{"block": tasks, "always": [save]}],
        }
        path = tmp_path / "playbook.yml"
        path.write_text(yaml.safe_dump([book]), encoding="utf-8")
        command = shlex.join([str(Path(sys.executable).with_name("ansible-playbook")), str(path)])
        done = subprocess.run(
            [*ALONE, "sh", "-c", f"{ASIDE}\n{script}\n{command}", aside],
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
                "ANSIBLE_HOME": str(tmp_path / "home"),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        output = done.stdout + done.stderr
        assert answer.exists(), output
        return done.returncode, output, json.loads(answer.read_text(encoding="utf-8"))

    return play
