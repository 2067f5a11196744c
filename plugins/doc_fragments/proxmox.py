# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that talks to Proxmox VE needs."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_host:
    description:
      - The name or address of a host whose API is to be used over HTTPS, such as that of the node or of any other node
        of its cluster. The module then runs on any machine, such as the controller, and needs no access to the node.
      - Without it, or where it is empty, the module runs on the node itself, as root, and uses its command C(pvesh).
      - Over the API nothing is known of the machine that the node is. The audit of its kernel is empty, no process is
        looked at, and no source is tried. V(/dev/urandom) and V(/dev/random) are there on every node. V(/dev/hwrng) is
        refused, unless a guest of the node runs with it.
      - Proxies of the environment (E(https_proxy), E(no_proxy)) are used. Redirects are not followed.
    type: str
  api_port:
    description:
      - The port of the API.
      - Taken from the environment variable E(PROXMOX_PORT) where it is not given.
    type: int
    default: 8006
  api_user:
    description:
      - The user that the token belongs to, with its realm, such as V(ansible@pve). Required with O(api_host).
      - Taken from the environment variable E(PROXMOX_USER) where it is not given.
    type: str
  api_token_id:
    description:
      - The name of the token, without its user. Required with O(api_host).
      - The token needs C(VM.Audit) and C(VM.Config.HWType) on the guests, C(VM.PowerMgmt) for restarts, and for
        V(/dev/hwrng) also C(Mapping.Use) on C(/mapping/hwrng). Guests without C(VM.Audit) are not seen. A token with
        privilege separation has only the rights that were given to itself.
      - Taken from the environment variable E(PROXMOX_TOKEN_ID) where it is not given.
    type: str
  api_token_secret:
    description:
      - The secret of the token. Required with O(api_host). It is never shown.
      - Taken from the environment variable E(PROXMOX_TOKEN_SECRET) where it is not given.
    type: str
  api_timeout:
    description:
      - The seconds that one call of the API may take, from V(1) to V(80). A change waits up to 10 seconds for other
        work on the same guest.
      - Taken from the environment variable E(PROXMOX_API_TIMEOUT) where it is not given.
    type: int
    default: 60
  validate_certs:
    description:
      - Whether the certificate of O(api_host) has to be one that is trusted.
      - With V(false) anybody on the way can read the token and change guests with it.
      - Taken from the environment variable E(PROXMOX_VALIDATE_CERTS) where it is not given.
    type: bool
    default: true
  ca_path:
    description:
      - The absolute path of a file with the certificates (PEM) of the authorities that are trusted for O(api_host),
        and no others then. It is on the machine that the module runs on. Without it those that this machine trusts are.
      - The authority that a cluster makes for itself is C(/etc/pve/pve-root-ca.pem) on its nodes.
      - Taken from the environment variable E(PROXMOX_CA_PATH) where it is not given.
    type: path
  node:
    description:
      - The node whose guests are meant, by its name in the cluster. Required with O(api_host), which serves them all.
      - Not used without O(api_host).
    type: str
requirements:
  - Proxmox VE 7 or later, and root on the node
  - for O(api_host) a token, with which Proxmox VE lets one change guests since version 8.4
"""
