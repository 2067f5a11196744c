# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of plain QEMU guests: over the agent's socket and in /proc, as the command line tells them."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Dict

from ..codec import qmp
from ..errors import GuestError, RngError
from ..observation import ObservedGuest
from ..transport import process
from ..transport.agent import NO_AGENT
from ..transport.agent_socket import AgentSocket
from ..transport.qmp import Monitor, connect_in_turn
from .guest_view import ERROR, NOT_RUNNING, GuestOptions, not_seen, view
from .host_view import look
from .qemu_guests import Entry, absolute

_NO_CHANNEL = "its command line has no socket for an agent (virtserialport org.qemu.guest_agent.0)"
_NOT_OPEN = "nobody in the guest has opened the agent's port: the agent is not installed there, or does not run"
_UNSEEN = "its process is not to be seen, and with it the socket of its agent; become may be needed"


def guest_view(entry: Entry, guest: ObservedGuest, options: GuestOptions) -> Dict[str, Any]:
    """What the guest says; whatever goes wrong is in it."""
    if not entry.running:
        return not_seen(NOT_RUNNING, "it does not run")
    if not entry.pid:
        return not_seen(NO_AGENT, _UNSEEN)
    if not entry.words.agent:
        return not_seen(NO_AGENT, _NO_CHANNEL)
    try:
        if _is_closed(entry):
            return not_seen(NO_AGENT, _NOT_OPEN)
        with closing(AgentSocket(absolute(entry.pid, entry.words.agent))) as call:
            return view(call, guest.live, options)
    except RngError as error:
        return not_seen(ERROR, str(error))


def host_view(entry: Entry, guest: ObservedGuest, monitor: bool) -> Dict[str, Any]:
    """What /proc and, if wanted, QEMU itself say of the guest's RNGs."""

    def find() -> int:
        if not entry.pid:
            raise process.NoProcessError("its process is not to be seen on this host")
        return entry.pid

    if not monitor:
        return look(guest, find, None)
    try:
        with connect_in_turn(entry.sockets) as connection:
            return look(guest, find, connection.ask)
    except GuestError as error:
        return {**look(guest, find, None), "qemu_why": str(error)}


def _is_closed(entry: Entry) -> bool:
    """Whether QEMU knows that no agent listens. When it cannot be asked, the agent's own silence tells."""
    try:
        with connect_in_turn(entry.sockets) as monitor:
            return _says_closed(monitor, entry.words.agent_chardev)
    except GuestError:
        return False


def _says_closed(monitor: Monitor, chardev: str) -> bool:
    conversation = qmp.ask_whether_open(chardev)
    try:
        command = next(conversation)
        while True:
            command = conversation.send(monitor.ask(command))
    except StopIteration as told:
        return told.value is False
