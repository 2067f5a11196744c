# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of this collection says about check mode, diff mode and where it runs."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: What it does with C(--check), where a task says what it would change and changes nothing.
  diff_mode:
    description: What it shows with C(--diff), where a task shows what it changed as before and after.
  platform:
    description: The systems that it works on.
    support: full
    platforms: linux
"""

    # Added to the above by modules that only read.
    INFO_MODULE = r"""
attributes:
  check_mode:
    support: full
    details:
      - This only reads, and does the same in check mode.
  diff_mode:
    support: N/A
    details:
      - This does not modify state.
"""

    # Added by modules that change what differs, and nothing else.
    CONVERGING_MODULE = r"""
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""
