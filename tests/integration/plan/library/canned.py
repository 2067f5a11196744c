# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that returns what is in a file, as an _info module returns what it saw."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule({"path": {"type": "path", "required": True}}, supports_check_mode=True)
    path = Path(module.params["path"])
    if not path.exists():
        module.fail_json(msg="nothing was seen")
    module.exit_json(changed=False, **json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
