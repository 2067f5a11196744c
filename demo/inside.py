# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests as they see themselves, asked without the collection: through the guest agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab import Guest, LabError, QemuGuest
from terminal import table

REFUSED = {"legacy1"}  # its group asks for a source that would freeze it
RESTART = {"db2"}  # no free slot while it runs
FROM_FILE = {"web4"}  # plain QEMU, which starts with what stands in its file
NO_DRIVER = {"batch2"}
NO_AGENT = {"web3"}
PLANTED = NO_DRIVER | NO_AGENT

UNLIMITED_DRAW = 1 << 20  # bytes
UNLIMITED_AT_LEAST = 20_000  # bytes per second, far above every limited group, even on a slow machine


class Inside:
    """Looks into guests, and tells whether they have what the inventory asks for."""

    def __init__(self, policies: Mapping[str, Mapping[str, Any]]) -> None:
        self._policies = policies

    def policy(self, guest: Guest) -> str:
        """The policy in words."""
        limit, period = self._rate(guest)
        rate = limit if limit == "unlimited" else f"{limit} B / {period} ms"
        return f"{self._policies[guest.name]['virtio_rng_source']}, {rate}"

    def before(self, guests: Iterable[Guest]) -> None:
        """What the guests have before: nothing."""
        guests = list(guests)
        with ThreadPoolExecutor() as pool:
            currents = list(pool.map(_current, guests))
        rows = [
            (guest.name, guest.host.name, current, self.policy(guest))
            for guest, current in zip(guests, currents, strict=True)
        ]
        table(("guest", "hypervisor", "rng_current", "what its group asks for"), rows)
        if set(currents) != {"none", "?"}:
            raise LabError("the guests should begin without an RNG")

    def after(self, guests: Iterable[Guest]) -> None:
        """What they have now, measured in them; an error when one differs from its policy."""
        with ThreadPoolExecutor() as pool:
            rows = list(pool.map(self._look, list(guests)))
        table(("guest", "hypervisor", "rng_current", "drawn", "what its group asks for", "verdict"), rows)
        wrong = [row[0] for row in rows if row[-1].startswith("WRONG")]
        if wrong:
            raise LabError(f"not what the inventory asks for: {', '.join(wrong)}")

    def _look(self, guest: Guest) -> tuple[str, ...]:
        current = _current(guest)
        drawn, verdict = "-", "WRONG: no RNG"
        if guest.name in NO_AGENT:
            verdict = "nobody can tell: no agent in it (planted)"
        elif guest.name in NO_DRIVER:
            verdict = "not used: no driver in it (planted)" if current == "none" else "WRONG: it has a driver"
        elif guest.name in REFUSED:
            verdict = "refused: unsafe source" if current == "none" else "WRONG: it should have been refused"
        elif guest.name in RESTART and current == "none":
            verdict = "waits for a restart: no free PCI slot"
        elif current != "none":
            drawn, verdict = self._measure(guest)
        return guest.name, guest.host.name, current, drawn, self.policy(guest), verdict

    def _measure(self, guest: Guest) -> tuple[str, str]:
        """Three quotas, which take two to three periods, or more on a busy machine; without a limit a MiB.

        One that is late to begin finds a quota renewed already. Those of the groups differ by a factor of 4.
        """
        limit, period = self._rate(guest)
        if limit == "unlimited":
            rate = guest.draw(UNLIMITED_DRAW).per_second
            good = rate > UNLIMITED_AT_LEAST
        else:
            rate = guest.draw_quotas(limit).per_second
            good = 0.3 < rate / (limit * 1000 / period) < 1.6
        return f"{rate:,.0f} B/s", "as asked" if good else "WRONG: another rate"

    def _rate(self, guest: Guest) -> tuple[Any, int]:
        variables = self._policies[guest.name]
        return variables.get("virtio_rng_max_bytes", 1024), variables.get("virtio_rng_period", 1000)


def definition(guest: Guest) -> str:
    """All that its hypervisor knows about a guest: what it starts with, and what it is while it runs."""
    if isinstance(guest, QemuGuest):
        return f"{guest.config.read_text()}{guest.rngs}{guest.backends}"
    return guest.host.virsh("dumpxml", guest.uuid) + guest.host.virsh("dumpxml", "--inactive", guest.uuid)


def _current(guest: Guest) -> str:
    """The RNG that the guest's kernel uses; ``?`` where it has no agent to say so."""
    return guest.rng_current() if guest.spec.has_agent else "?"
