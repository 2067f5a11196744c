# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an entropy daemon helps a machine, and which: by its kernel, its sources, FIPS mode and the policy. Pure.

Three dates decide nearly everything. From 3.17 on the kernel draws from a hardware RNG by itself where its driver
vouches for it (quality above 0); from 5.4 on it makes entropy from timing when it has to wait; from 5.6 on /dev/random
does not wait any more once it has begun. The last two came together to stable and vendor kernels as old as 4.9, which
the size of their pool gives away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable

RNGD, JITTERENTROPY, HAVEGED = DAEMONS = ("rngd", "jitterentropy-rngd", "haveged")
POLICIES = ("auto", *DAEMONS, "none", "unmanaged")
PRESENT, ABSENT, UNMANAGED = STATES = ("present", "absent", "unmanaged")

# os-release's ID of those that have Red Hat's unit, which from 8.4 on has a condition against FIPS mode.
_RED_HAT = ("rhel", "centos", "rocky", "almalinux", "ol", "fedora")
_FIPS_UNIT = (8, 4)
_NO_RNGD = "the unit of Red Hat's rngd does not start in FIPS mode, so a check that asks for it cannot pass"


@dataclass(frozen=True)
class Machine:
    """What the decision rests on, of rng_info's ``rng``."""

    rng: Mapping[str, Any]
    version: tuple[int, int]

    @property
    def name(self) -> str:
        """The kernel, as the reason names it."""
        return f"Linux {self.version[0]}.{self.version[1]}"

    @property
    def backported(self) -> bool:
        """An old release with the generator of 5.18."""
        return self.version < (5, 4) and self.rng.get("poolsize") == 256

    @property
    def helps_itself(self) -> bool:
        return self.version >= (5, 4) or self.backported

    @property
    def blocks(self) -> bool:
        """Whether /dev/random waits whenever the kernel's estimate is low."""
        return self.version < (5, 6) and self.rng.get("poolsize") != 256

    @property
    def current(self) -> str | None:
        current = self.rng.get("current")
        return printable(str(current), 60) if current else None

    @property
    def drawn(self) -> bool | None:
        """Whether the kernel draws from its hardware RNG by itself; None when that cannot be seen."""
        if not self.current or self.version < (3, 17):
            return False
        quality = self.rng.get("quality")
        if quality is not None:
            return bool(quality)
        return True if self.current.startswith("virtio_rng") else None  # its driver has always had one

    @property
    def no_rngd(self) -> bool:
        system = self.rng.get("os") or {}
        if not self.rng.get("fips") or system.get("id") not in _RED_HAT:
            return False
        found = re.match(r"([0-9]+)(?:\.([0-9]+))?", str(system.get("version")))
        # CentOS Stream says 8 or 9 alone: it has what the last minor release has.
        return found is None or (int(found[1]), int(found[2] or 99)) >= _FIPS_UNIT

    def runs(self, daemon: str) -> bool:
        return daemon in (self.rng.get("daemons") or ())


def decide(rng: Any, policy: str, offered: Sequence[str] = DAEMONS) -> dict[str, str | None]:
    """Return ``daemon``, ``state`` and ``why``.

    ``present`` means that the daemon runs and starts at boot, ``absent`` that it does not, and none of them where
    ``daemon`` is None; ``unmanaged`` that nothing is done.

    :param rng: the ``rng`` of rng_info; anything else is a machine that nobody could look at.
    :param offered: the daemons that the distribution has packages of.
    :raises ValueError: for a policy that is none.
    """
    if policy not in POLICIES:
        raise ValueError(f"the policy is one of {', '.join(POLICIES)}, not {printable(str(policy), 60)}")
    if policy == "unmanaged":
        return _answer(None, UNMANAGED, "No entropy daemon is asked for, and none that is there is touched.")
    if not isinstance(rng, Mapping):
        return _answer(None, UNMANAGED, "The machine could not be audited, so nobody knows whether a daemon helps it.")
    if rng.get("role") == "container":
        return _answer(None, UNMANAGED, "A container has its host's kernel: a daemon helps there, not here.")
    if policy == "none":
        return _answer(None, ABSENT, "The policy is that no entropy daemon runs.")
    machine = _machine(rng)
    if machine is None:
        if policy in ("auto", HAVEGED):
            return _answer(None, UNMANAGED, "The kernel's release is unknown, and so is whether a daemon helps it.")
    elif policy == "auto":
        return _automatic(machine, offered)
    return _asked_for(machine, policy, offered)


def _answer(daemon: str | None, state: str, why: str) -> dict[str, str | None]:
    return {"daemon": daemon, "state": state, "why": why}


def _machine(rng: Mapping[str, Any]) -> Machine | None:
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", str((rng.get("kernel") or {}).get("release") or ""))
    return Machine(rng, (int(found[1]), int(found[2]))) if found else None


def _asked_for(machine: Machine | None, policy: str, offered: Sequence[str]) -> dict[str, str | None]:
    if machine and policy == HAVEGED and machine.helps_itself:
        return _answer(HAVEGED, ABSENT, f"haveged helps kernels before 5.4 only: {_itself(machine)}.")
    if machine and policy == RNGD and machine.no_rngd:
        return _answer(None, UNMANAGED, f"{policy} is asked for, but {_NO_RNGD}.")
    if policy not in offered:
        return _answer(None, UNMANAGED, f"{policy} is asked for, and this distribution has no package of it.")
    need, dummy = _need(machine) if machine else (None, ())
    why = _sentence(need or _no_need(machine)) if machine else "The kernel's release is unknown."
    return _answer(policy, PRESENT, f"{policy} is asked for. {why}")


def _automatic(machine: Machine, offered: Sequence[str]) -> dict[str, str | None]:
    need, candidates = _need(machine)
    if need is None:
        why = _sentence(_no_need(machine))
        if machine.runs(HAVEGED) and machine.helps_itself:
            return _answer(HAVEGED, ABSENT, f"{why} haveged runs all the same, which helps kernels before 5.4 only.")
        running = [daemon for daemon in (RNGD, JITTERENTROPY) if machine.runs(daemon)]
        if running:
            why += (
                f" {' and '.join(running)} runs all the same and is left alone, since it may read a source that the"
                " kernel has no driver for; the policy none stops it."
            )
        return _answer(None, UNMANAGED, why)
    usable = [one for one in candidates if one in offered and not (one == RNGD and machine.no_rngd)]
    running = [one for one in candidates if machine.runs(one)]
    if running:
        return _answer(running[0], PRESENT, f"{_sentence(need)} {running[0]} runs already.")
    if usable:
        return _answer(usable[0], PRESENT, _sentence(need))
    obstacle = _NO_RNGD if RNGD in offered and machine.no_rngd else "this distribution has no package of one that helps"
    return _answer(None, UNMANAGED, f"{_sentence(need)} No daemon is installed: {obstacle}.")


def _need(machine: Machine) -> tuple[str | None, tuple[str, ...]]:
    """Why the machine needs a daemon, and those that help, the best first; None when it needs none."""
    if machine.drawn:
        return None, ()
    if not machine.blocks:
        if machine.current and machine.drawn is False:
            return f"the kernel does not draw from {machine.current} by itself (quality 0), and rngd does", (RNGD,)
        return None, ()
    waits = (
        f"on {machine.name} /dev/random waits when its estimate is low"
        if machine.helps_itself
        else f"on {machine.name} programs wait for random numbers, at boot for minutes"
    )
    if machine.current:
        doubt = "the kernel does not draw" if machine.drawn is False else "it cannot be seen that the kernel draws"
        return f"{waits}, and {doubt} from {machine.current} by itself, as rngd does", (RNGD,)
    rest = () if machine.helps_itself else (HAVEGED,)
    if machine.rng.get("fips"):
        because = "a daemon can, from timing, and in FIPS mode jitterentropy-rngd is the one with a tested source"
        return f"{waits}, and no hardware RNG feeds it: {because}", (JITTERENTROPY, RNGD)
    if machine.rng.get("cpu"):
        return (
            f"{waits}, and there is no hardware RNG but the CPU's instruction, which rngd reads",
            (RNGD, JITTERENTROPY, *rest),
        )
    return f"{waits}, and no hardware RNG feeds it: a daemon can, from timing", (JITTERENTROPY, RNGD, *rest)


def _no_need(machine: Machine) -> str:
    fips = ", in FIPS mode too" if machine.rng.get("fips") else ""
    if machine.drawn:
        return f"the kernel does not need a daemon: it draws from {machine.current} by itself{fips}"
    return f"the kernel does not need a daemon{fips}: {_itself(machine)}"


def _itself(machine: Machine) -> str:
    """What the kernel does without a daemon."""
    since = f"{machine.name} with the generator of 5.18" if machine.backported else machine.name
    makes = f"{since} makes entropy from timing by itself"
    return makes if machine.blocks else f"{makes}, and /dev/random does not wait once it has begun"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
