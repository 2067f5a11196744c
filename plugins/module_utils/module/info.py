# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner behind every ``*_rng_info`` module: what is, of the host and of its guests, and nothing changes."""

from __future__ import annotations

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..errors import RngError
from ..kernel.interpret import interpret
from ..kernel.probe import collect
from .bounded import bounded


def run(module: AnsibleModule, backend: Any) -> None:
    """Observe the hypervisor and all of its guests, and exit."""
    try:
        result = bounded(lambda: _observe(backend), "observing the guests")
    except RngError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


def _observe(backend: Any) -> Dict[str, Any]:
    session = backend.session(readonly=True)
    host = interpret(collect("/"))
    host["hypervisor"] = backend.hypervisor(session)
    return {"host": host, "guests": [guest.to_wire() for guest in session.observe_all()]}
