# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of the collection as AnsiballZ does, and can inject a fault at a point that timing alone rarely hits.

The job comes as JSON on standard input: ``module``, ``args``, and maybe a fault. ``between`` is a shell script that
runs between the observation and the first change; ``die_after`` kills the module once so many changes were made.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading

from ansible.module_utils import basic
from ansible_collections.fleet.rng.plugins.module_utils.module import apply
from ansible_collections.fleet.rng.plugins.module_utils.transport.libvirt import Connection


def inject_between(command):
    travel = apply._converge_all

    def after_command(*arguments):
        subprocess.run(["/bin/sh", "-ec", command], check=True, stdout=subprocess.DEVNULL)
        return travel(*arguments)

    apply._converge_all = after_command


def inject_death(changes):
    lock, left = threading.Lock(), [changes]

    def counted(call):
        def wrapped(*arguments):
            if left[0] > 0:
                call(*arguments)
            with lock:
                left[0] -= 1
                if left[0] <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    for name in ("attach", "detach_alias", "detach_xml"):
        setattr(Connection, name, counted(getattr(Connection, name)))


job = json.load(sys.stdin)
if job.get("between"):
    inject_between(job["between"])
if job.get("die_after") is not None:
    inject_death(job["die_after"])
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": job["args"]}).encode()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_module("ansible_collections.fleet.rng.plugins.modules." + job["module"], run_name="__main__", alter_sys=True)
