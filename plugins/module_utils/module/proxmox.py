# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules for Proxmox VE, and their way into a backend. Names are those of community.proxmox."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..backend.proxmox import Backend
from ..transport.proxmox import SECONDS
from ..transport.proxmox_api import PORT, Access, holds_secret

# The host has no variable of the environment: whether the API is used at all should stand in the task.
PROXMOX_SPEC: Dict[str, Any] = {
    "api_host": {"type": "str"},
    "api_port": {"type": "int", "default": PORT, "fallback": (env_fallback, ["PROXMOX_PORT"])},
    "api_user": {"type": "str", "fallback": (env_fallback, ["PROXMOX_USER"])},
    "api_token_id": {"type": "str", "no_log": False, "fallback": (env_fallback, ["PROXMOX_TOKEN_ID"])},
    "api_token_secret": {"type": "str", "no_log": True, "fallback": (env_fallback, ["PROXMOX_TOKEN_SECRET"])},
    "api_timeout": {"type": "int", "default": int(SECONDS), "fallback": (env_fallback, ["PROXMOX_API_TIMEOUT"])},
    "validate_certs": {"type": "bool", "default": True, "fallback": (env_fallback, ["PROXMOX_VALIDATE_CERTS"])},
    "ca_path": {"type": "path", "fallback": (env_fallback, ["PROXMOX_CA_PATH"])},
    "node": {"type": "str"},
}
_NEEDED = ("api_user", "api_token_id", "api_token_secret", "node")
_SHOWN = ("api_host", "api_user", "api_token_id", "node")


def find_backend(module: AnsibleModule) -> Backend:
    """That of the module's options. What is empty, as a template may make it, is not given."""
    given = module.params
    for value in [str(given[name] or "") for name in _SHOWN]:
        if holds_secret(value):  # in the wrong option: Ansible must not show it either
            module.no_log_values.update({value, value.rpartition("=")[2]} - {""})
    missing = [name for name in _NEEDED if not given[name]]
    if given["api_host"] and missing:
        module.fail_json(msg=f"missing parameter(s) required by 'api_host': {', '.join(missing)}")
    return backend_of(given)


def backend_of(options: Mapping[str, Any]) -> Backend:
    """The node that the module runs on, or with ``api_host`` the one that the options name."""
    if not options["api_host"]:
        return Backend()
    return Backend(
        access=Access(
            host=options["api_host"],
            node=options["node"],
            user=options["api_user"],
            token_id=options["api_token_id"],
            secret=options["api_token_secret"],
            port=options["api_port"],
            verify=options["validate_certs"],
            ca_path=options["ca_path"] or "",
            seconds=options["api_timeout"],
        )
    )
