# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is handed over of a connection."""

from __future__ import annotations

import json
import socket

from ansible_collections.fleet.rng.plugins.module_utils.broker.client import Client
from ansible_collections.fleet.rng.plugins.module_utils.broker.listener import Listener
from ansible_collections.fleet.rng.plugins.module_utils.broker.peer import Peer


def test_the_state_is_fit_for_json_and_holds_the_unsent_rest() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(ours, "c7", Listener("/run/gold.sock", "gold", None, None, 1), Peer("web1", 3, 4, 5))
        client.out = b"\x00\xff"
        client.bytes, client.requests, client.waits = 640, 10, 2
        assert json.loads(json.dumps(client.state())) == {
            "name": "c7",
            "class": "gold",
            "peer": ["web1", 3, 4, 5],
            "out": "AP8=",
            "counters": [640, 10, 2],
        }
