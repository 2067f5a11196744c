#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_show
version_added: 0.1.0
short_description: Print lines as they are
description:
  - Prints the lines of a table to the terminal and the log of the run, each on its own line whatever the callback
    plugin makes of results. M(ansible.builtin.debug) leaves the form to the callback, which quotes or folds them.
  - Runs on the controller and connects to nothing. Use it with C(run_once).
options:
  lines:
    description:
      - The lines, such as those of P(fleet.rng.recap#filter) or P(fleet.rng.audit#filter).
      - Characters that are not visible are escaped, and a line is cut after 500 characters.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.rng_plan
  - plugin: fleet.rng.recap
    plugin_type: filter
  - plugin: fleet.rng.audit
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what a run would do
  fleet.rng.rng_show:
    lines: "{{ virtio_rng_plan.plan | fleet.rng.recap }}"
  run_once: true
"""

RETURN = r"""
lines:
  description: The lines as they were printed.
  returned: success
  type: list
  elements: str
"""
