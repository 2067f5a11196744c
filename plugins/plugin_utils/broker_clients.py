# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest whose source is a socket of the entropy broker: does the broker serve it, as the broker itself says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import Source
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import (
    CLIENT_NAME,
    LONG_WAIT,
    RUNNING,
    STALE,
    unreadable,
)
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils import guest_findings as kinds
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_checks import FAIL, PASS, UNKNOWN, Case, Check

SOCKETS = "/run/virtrngd/"  # of every broker, so that guests can move


def broker_of(host: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The broker of an observed hypervisor; None is sure that there is none."""
    unread = [item.get("path") for item in host.get("unreadable") or ()]
    if "broker" not in host or "/" in unread:
        return unreadable("nobody looked for it on the host")
    broker: Mapping[str, Any] | None = host["broker"]
    return broker


def check_client(case: Case, opened: Check) -> Check:
    """What the host saw of the open source, together with what the broker behind it says; others stay as they are."""
    device = case.device.device if case.device else None
    if device is None or not _is_broker(device.source, case.broker):
        return opened
    broker, source = case.broker, device.source
    if broker is None or broker["status"] == STALE:
        why = "is not there" if broker is None else f"stopped or hangs: {broker['why']}"
        case.find(kinds.BROKER_GONE, {"source": str(source)}, source=source, why=why)
        return Check(FAIL, f"the entropy broker behind {source} {why}")
    if broker["status"] != RUNNING:
        return opened
    client = _client(case, source, broker)
    if client is None:
        return _not_listed(case, opened, source, broker)
    waiting = client["waiting"]
    if waiting is not None and waiting > LONG_WAIT:
        case.find(kinds.WAITS_FOR_BROKER, _evidence(client), **{"class": client["class"]}, seconds=f"{waiting:.0f}")
    served = (
        f"a client of the broker, in class {client['class']}: {client['bytes']} bytes in {client['requests']} requests"
    )
    return opened if opened.result == FAIL else Check(PASS, served)


def _is_broker(source: Source, broker: Mapping[str, Any] | None) -> bool:
    if source.kind != "egd":
        return False
    if source.transport == "unix" and source.path.startswith(SOCKETS):
        return True
    return str(source).removeprefix("egd+").removeprefix("unix:") in {
        socket for one in (broker or {}).get("classes", ()) for socket in one["sockets"]
    }


def _client(case: Case, source: Source, broker: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """By its process where the host was looked at, else by its name, which the broker has from QEMU's command line."""
    pid = (case.guest.host_view or {}).get("pid")
    name = printable(case.guest.name, CLIENT_NAME)
    by_pid = [guest for guest in broker["guests"] if pid is not None and guest["pid"] == pid]
    by_name = [guest for guest in broker["guests"] if guest["guest"] == name and (pid is None or guest["pid"] is None)]
    found = by_pid or by_name
    address = str(source).removeprefix("egd+").removeprefix("unix:")
    classes = {one["name"] for one in broker["classes"] if address in one["sockets"]}
    same: list[Mapping[str, Any]] = [guest for guest in found if guest["class"] in classes]
    return next(iter([*same, *found]), None)


def _not_listed(case: Case, opened: Check, source: Source, broker: Mapping[str, Any]) -> Check:
    """It may have come since the broker wrote, or be one of many: that alone is no failure."""
    if opened.result in (PASS, FAIL) or broker["guests_total"] > len(broker["guests"]):
        return opened
    case.find(kinds.NO_CLIENT, {"source": str(source), "clients": broker["clients"]}, source=source)
    return Check(UNKNOWN, "the broker has no client of this name")


def _evidence(client: Mapping[str, Any]) -> dict[str, Any]:
    return {key: client[key] for key in ("class", "bytes", "requests", "waiting")}
