# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes Ansible's recap as JSON to the file that RECAP_FILE names, so that the demo can judge it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recap_file
type: aggregate
short_description: write the recap as JSON
description: Writes what the recap counts, for each host, to the file that the environment variable RECAP_FILE names.
author: the fleet.rng authors
"""


class CallbackModule(CallbackBase):
    """One JSON object: host name to its counts (ok, changed, failures, ...)."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recap_file"

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Called once, at the end."""
        recap = {host: stats.summarize(host) for host in stats.processed}
        Path(os.environ["RECAP_FILE"]).write_text(json.dumps(recap))
