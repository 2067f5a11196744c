# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's own view over libvirt, which knows at once whether an agent is there to be asked."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..codec import libvirt as codec
from ..errors import GuestError
from ..observation import LIVE, ObservedGuest
from ..transport.agent import NO_AGENT, TIMED_OUT
from ..transport.libvirt import Connection, DomainEntry, NotRunningError
from .guest_view import ERROR, NOT_RUNNING, GuestOptions, not_seen, view

_NO_CHANNEL = "it has no channel for an agent (org.qemu.guest_agent.0)"
_NOT_CONNECTED = "no agent is connected to its channel: it is not installed there, or does not run"


def guest_view(
    connection: Connection, entry: DomainEntry, guest: ObservedGuest, options: GuestOptions
) -> Dict[str, Any]:
    """What the guest says; whatever goes wrong with it is in there.

    :raises HypervisorError: when the connection is lost, which is then of no more use.
    """
    try:
        absent = _absent(connection, entry)
        if absent:
            return not_seen(NO_AGENT, absent)
        seen = view(lambda text, seconds: connection.agent(entry, text, seconds), guest.live, options)
        # libvirt has one code for an agent that went away meanwhile and for one that is silent.
        absent = _absent(connection, entry) if seen["status"] == TIMED_OUT and seen["rng"] is None else None
        return not_seen(NO_AGENT, absent) if absent else seen
    except NotRunningError as error:
        return not_seen(NOT_RUNNING, str(error))
    except GuestError as error:
        return not_seen(ERROR, str(error))


def _absent(connection: Connection, entry: DomainEntry) -> Optional[str]:
    """Why there is no agent, by the running guest's document; None when one is connected.

    :raises NotRunningError: when it no longer runs.
    """
    document = connection.xml(entry, LIVE)
    if not codec.parse_domain(document).running:
        raise NotRunningError("it was shut off meanwhile")
    connected = codec.parse_agent_channel(document)
    return _NO_CHANNEL if connected is None else None if connected else _NOT_CONNECTED
