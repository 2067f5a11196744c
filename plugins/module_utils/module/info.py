# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner behind every ``*_rng_info`` module: what is, of the host and of its guests, and nothing changes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

from ..bounded import bounded
from ..errors import RngError
from ..kernel.interpret import interpret, unseen
from ..kernel.probe import collect
from ..observation import ObservedGuest
from ..text import printable
from ..transport.broker_sockets import broker_sockets
from .views import Views, look, parse_views

BROKER = "broker"  # as a source to try: all sockets that the host's broker has


def run(module: AnsibleModule, backend: Any) -> None:
    """Observe the hypervisor and all of its guests, and exit."""
    try:
        views = parse_views(module.params)
        sources = module.params.get("sources") or []
        host, guests = bounded(lambda: _observe(backend, sources), "observing the guests")
    except RngError as error:
        module.fail_json(msg=str(error))
    _warn_of_strangers(module, views, guests)
    guests = look(guests, backend, views)
    module.exit_json(changed=False, host=host, guests=[guest.to_wire() for guest in guests])


def _observe(backend: Any, sources: Sequence[str]) -> Tuple[Dict[str, Any], List[ObservedGuest]]:
    session = backend.session(readonly=True)
    guests = session.observe_all()  # before the hypervisor, which may be known by its guests only
    elsewhere = getattr(backend, "elsewhere", "")
    host = unseen(elsewhere) if elsewhere else interpret(collect("/"))
    host["hypervisor"] = backend.hypervisor(session)
    broker: Dict[str, Optional[str]] = {}
    if BROKER in sources and not elsewhere:
        sockets, why = broker_sockets()
        broker[BROKER] = why or None
        sources = [*sources, *(f"egd+unix:{path}" for path in sockets)]
    asked = [source for source in dict.fromkeys(sources) if source != BROKER]
    host["sources"] = {**backend.sources(session, asked), **broker}
    return host, guests


def _warn_of_strangers(module: AnsibleModule, views: Views, guests: Sequence[ObservedGuest]) -> None:
    known = {guest.name for guest in guests} | {guest.uuid for guest in guests}
    for name in views.guests or ():
        if name not in known and name.lower() not in known:
            module.warn(f"guests: no guest of this name or UUID is here: {printable(name)}")
