# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One guest on its way from what it is to what was asked: decide, do, look again, until there is nothing left to do.

Looking again after every step is what makes it safe against everything that happens in between: a guest that starts
or stops, another administrator, a second run, a daemon that dies. The outcome is what was seen, not what was hoped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import AbstractSet, Any, Dict, Optional, Set

from .. import converge
from ..converge import Capabilities, Decision, LayerDecision, decide
from ..device import RngDevice
from ..errors import GuestError, TimedOutError
from ..observation import CONFIG, LIVE, Devices, FoundDevice, ObservedGuest

_ROUNDS = 3  # one is enough on a quiet host; the others are for what changed meanwhile


@dataclass(frozen=True)
class Options:
    """How far a run may go. ``wait`` is how many seconds a running guest has to release a device."""

    capabilities: Capabilities
    live: bool = True
    exclusive: bool = True
    wait: float = 5


@dataclass
class Convergence:
    """One guest's way: as it was found, as it was last seen, and what went wrong."""

    name: str
    wanted: Optional[RngDevice]
    options: Options
    before: Optional[ObservedGuest] = None
    after: Optional[ObservedGuest] = None
    error: str = ""
    under_way: bool = False
    asked: Set[str] = field(default_factory=set)  # aliases of the devices that the running guest was told to release
    refusal: str = ""  # what the hypervisor said when it would not take a device from the running guest
    restart: bool = False  # whether the guest may be shut down and started, where something waits for that
    restarted: bool = False
    held: str = ""  # why it was not restarted although something waits for it

    def decide(self, guest: ObservedGuest) -> Decision:
        return decide(
            self.wanted, guest, self.options.capabilities, live=self.options.live, exclusive=self.options.exclusive
        )

    @property
    def acts(self) -> bool:
        return not self.error and self.before is not None and self.decide(self.before).acts

    @property
    def waits(self) -> bool:
        """Whether it waits for a restart that it may have."""
        guest = self.after or self.before
        if self.error or not self.restart or guest is None or not guest.running:
            return False
        return self.decide(guest).live.status == converge.NEEDS_RESTART

    def look(self, session: Any) -> None:
        """See what the guest is now."""
        self.after = session.observe(self.after or self.before, self.wanted.model if self.wanted else "virtio")

    def run(self, session: Any) -> None:
        """Change the guest over an open session of its backend.

        :raises GuestError: what could not be done; whatever was done stands in ``after``.
        """
        for dummy in range(_ROUNDS):
            guest = self.after or self.before
            if guest is None:
                return
            decision = self.decide(guest)
            if self._is_done(decision):
                return
            decision = self._of_known_devices(decision)
            if not decision.acts:
                break
            failure = None
            try:
                self._apply(session, guest, decision)
            except GuestError as error:
                failure = error
            self.look(session)
            if failure is not None and self.after is not None and _state(self.after) == _state(guest):
                raise failure
        if self.after is not None and not self._is_done(self.decide(self.after)):
            raise GuestError("somebody else changed it meanwhile; run again")

    def _of_known_devices(self, decision: Decision) -> Decision:
        """Without the removal of devices that came meanwhile.

        Two runs that want different devices would else take each other's away, and leave the guest with none.
        """
        before = self.before
        if before is None:
            return decision
        return replace(decision, config=_known(decision.config, before.config), live=_known(decision.live, before.live))

    def _apply(self, session: Any, guest: ObservedGuest, decision: Decision) -> None:
        """The new device first, then the old one goes.

        The running guest is served before its config: a device that QEMU will not open now must not keep the guest
        from its next start.
        """
        live, config = decision.live, decision.config
        if live.add is not None:
            session.add(guest, LIVE, live.add, live.alias)
        if config.add is not None:
            try:
                session.add(guest, CONFIG, config.add, config.alias)
            except GuestError:
                if live.add is not None:  # back to the old state, rather than a guest that loses it at its next start
                    session.remove(guest, LIVE, FoundDevice(live.add, live.alias))
                    session.wait_removed(guest, (live.alias,), self.options.wait)
                raise
        for found in decision.config.remove:
            session.remove(guest, CONFIG, found)
        for found in decision.live.remove:
            try:
                session.remove(guest, LIVE, found)
            except TimedOutError:
                raise
            except GuestError as error:  # gone already, or asked for already: the next look tells
                self.refusal = str(error)
            self.asked.add(found.alias)
        if decision.live.remove:
            session.wait_removed(guest, tuple(found.alias for found in decision.live.remove), self.options.wait)

    def _is_done(self, decision: Decision) -> bool:
        """Nothing left but removals that the running guest was asked for already and has not acknowledged."""
        left = decision.live
        return not decision.config.acts and left.add is None and all(gone.alias in self.asked for gone in left.remove)

    def result(self, check_mode: bool) -> Dict[str, Any]:
        """The entry of this guest in the module's ``guests``."""
        before = self.before
        if before is None:
            return self._entry(False, converge.NOT_APPLICABLE, converge.NOT_APPLICABLE, self.error)
        if self.error and self.after is None:
            return self._entry(False, _untouched(before.config), _untouched(before.live), self.error)
        first = self.decide(before)
        if check_mode:
            reason = first.reason + (
                "; it would be restarted for that" if self.waits and not self.held else self._held()
            )
            acts = first.acts or (self.waits and not self.held)
            return self._entry(acts, first.config.status, first.live.status, reason, before)
        after = self.after or before
        last = self.decide(after)
        config = _status(before.config, after.config, last.config, self.wanted)
        live = _status(before.live, after.live, last.live, self.wanted, self.asked)
        reason = first.reason
        if live == converge.PENDING_REMOVAL:
            reason += "; the guest has not released the old one yet, a later run finishes it"
            reason += f" ({self.refusal})" if self.refusal else ""
        reason += "; it was restarted for that" if self.restarted else self._held()
        return self._entry(self.restarted or _state(before) != _state(after), config, live, reason, before)

    def _held(self) -> str:
        return f"; not restarted: {self.held}" if self.held else ""

    def _entry(
        self, changed: bool, config: str, live: str, reason: str, noted: Optional[ObservedGuest] = None
    ) -> Dict[str, Any]:
        if noted is not None and noted.notes:
            reason = "; ".join([reason, *noted.notes])
        return {
            "guest": self.name,
            "changed": changed,
            "config": config,
            "live": live,
            "reason": reason,
            "error": self.error or None,
        }

    def diff(self, check_mode: bool) -> Optional[Dict[str, str]]:
        """Before and after as text, in Ansible's form; None when they are the same."""
        before = self.before
        if before is None:
            return None
        config, live = before.config, before.live
        if not check_mode and self.after is not None:
            config, live = self.after.config, self.after.live
        elif check_mode and not self.error:
            decision = self.decide(before)
            config = _predicted(config, decision.config, self.wanted)
            live = _predicted(live, decision.live, self.wanted)
        old, new = _described(before.config, before.live), _described(config, live)
        return None if old == new else {"before": old, "after": new}


def _known(decision: LayerDecision, before: Optional[Devices]) -> LayerDecision:
    if before is None:  # the guest was started meanwhile: all that it has came from its config
        return decision
    return replace(decision, remove=tuple(found for found in decision.remove if found in before))


def _state(guest: ObservedGuest) -> object:
    return guest.config, guest.live


def _untouched(devices: Optional[Devices]) -> str:
    return converge.NOT_APPLICABLE if devices is None else converge.UNCHANGED


def _status(
    before: Optional[Devices],
    after: Optional[Devices],
    left: LayerDecision,
    wanted: Optional[RngDevice],
    asked: AbstractSet[str] = frozenset(),
) -> str:
    """What happened on one layer, from what was seen before and after, and from what is left to do.

    :param asked: aliases of the devices that the guest was told to release; only a running guest takes its time.
    """
    if after is None:
        return converge.NOT_APPLICABLE
    if left.status == converge.NEEDS_RESTART:
        return converge.NEEDS_RESTART
    if any(found.alias in asked for found in left.remove):
        return converge.PENDING_REMOVAL
    # A guest that was started meanwhile had nothing before.
    if Counter(before or ()) - Counter(after):
        return converge.REMOVED if wanted is None else converge.REPLACED
    gained = Counter(after) - Counter(before or ())
    return converge.ADDED if gained and wanted is not None else converge.UNCHANGED


def _predicted(before: Optional[Devices], decision: LayerDecision, wanted: Optional[RngDevice]) -> Optional[Devices]:
    if before is None:
        return None
    kept = tuple(found for found in before if not any(found is gone for gone in decision.remove))
    return kept if decision.add is None else (*kept, FoundDevice(wanted, decision.alias))


def _described(config: Optional[Devices], live: Optional[Devices]) -> str:
    lines = []
    for layer, devices in ((CONFIG, config), (LIVE, live)):
        if devices is not None:
            lines.append(f"{layer}:" if devices else f"{layer}: no RNG")
            lines += [f"  - {found}" for found in devices]
    return "\n".join(lines) + "\n"
